/** The whole appliance under a nemesis: every seed must keep every promise, and every deliberate fault must break one in some seed. */
import { describe, expect, test } from 'vitest'
import type { Disk, DiskOperation, Ports } from '../../../src/base/ports.ts'
import { ApplianceRun } from './appliance-run.ts'
import type { EdgeOptions, Sabotage } from './edge.ts'

/** They take about 20 s of one core. */
const seeds = 90
const seedsTimeoutMs = 240_000

describe('an appliance with clients, crashes, faults and restarts', () => {
  test(`keeps what it acknowledged, once and in order, and tells everyone the same (${seeds} seeds)`, {
    timeout: seedsTimeoutMs,
  }, async () => {
    let acknowledged = 0
    let lives = 0
    for (let seed = 1; seed <= seeds; seed++) {
      const figures = await new ApplianceRun(seed).run()
      acknowledged += figures.acknowledged
      lives += figures.lives
    }
    // A run in which nothing happens would keep every promise.
    expect(acknowledged).toBeGreaterThan(seeds * 200)
    expect(lives).toBeGreaterThan(seeds * 6)
  })

  test('does the same again with the same seed, and something else with another', async () => {
    const [once, again, other] = [await figuresOf(7), await figuresOf(7), await figuresOf(8)]
    expect(again).toEqual(once)
    expect(other.traceHash).not.toBe(once.traceHash)
  })
})

function figuresOf(seed: number) {
  return new ApplianceRun(seed).run()
}

type Submit = Disk['submit']

/** An appliance whose groups reach the disk as `faulty` hands them on. */
function withSubmit(faulty: (submit: Submit) => Submit): Sabotage {
  return (ports: Ports) => {
    const submit = faulty(ports.disk.submit.bind(ports.disk))
    const disk: Disk = new Proxy(ports.disk, {
      get: (target, name) => {
        if (name === 'submit') return submit
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    return { ...ports, disk }
  }
}

const without = (gone: (operation: DiskOperation) => boolean): Sabotage =>
  withSubmit(
    (submit) => (operations, options) =>
      submit(
        operations.filter((operation) => !gone(operation)),
        options,
      ),
  )

const writesRecords = (operations: readonly DiskOperation[]): boolean => operations.some(({ kind }) => kind === 'write')

/** Deliberate faults; some seed must catch each of them. */
const mutants: readonly (readonly [string, EdgeOptions])[] = [
  ['does not sync files', { sabotage: without(({ kind }) => kind === 'sync') }],
  ['does not sync directories', { sabotage: without(({ kind }) => kind === 'syncDirectory') }],
  ['does not put written files into their place', { sabotage: without(({ kind }) => kind === 'rename') }],
  [
    'acknowledges a commit before it is synced',
    {
      sabotage: withSubmit((submit) => (operations, options) => {
        const completed = submit(operations, options)
        if (!writesRecords(operations)) return completed
        completed.catch(() => {})
        return Promise.resolve()
      }),
    },
  ],
  [
    'takes a failed commit for a good one',
    {
      sabotage: withSubmit((submit) => (operations, options) => {
        const completed = submit(operations, options)
        return writesRecords(operations) ? completed.catch(() => {}) : completed
      }),
    },
  ],
]

describe('some seed catches an appliance that', () => {
  test.each(mutants)('%s', { timeout: seedsTimeoutMs }, async (_, options) => {
    let caught = ''
    for (let seed = 1; seed <= seeds && caught === ''; seed++) {
      await new ApplianceRun(seed, options).run().catch((error: unknown) => {
        caught = String(error)
      })
    }
    expect(caught).toMatch(/^Error: seed \d+/)
  })
})
