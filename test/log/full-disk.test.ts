/** A disk that fills is a normal state: nothing acknowledged is lost, nothing half readable, and it ends by itself. */
import { describe, expect, test } from 'vitest'
import type { DiskOperation, Ports } from '../../src/base/ports.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { isSpaceError } from '../../src/log/patient-disk.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import type { Loss } from '../../src/log/retention.ts'
import type { SpaceOptions } from '../../src/log/space-guard.ts'
import type { SimHost } from '../sim/host.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, openSmall, readAll } from './log-fixture.ts'

interface Place {
  readonly world: SimWorld
  readonly host: SimHost
  readonly ports: Ports
}

function place(seed: number): Place {
  const world = simWorld(seed)
  const host = world.host('edge')
  return { world, host, ports: host.boot() }
}

/** Every record of the history has its number as its value. */
interface History {
  /** By log: values in offset order that were answered as appended. */
  readonly appended: Map<string, string[]>
  readonly refused: string[]
}

const setsMax = 40

/** Appends sets over all logs, two in a turn, with what the disk makes of it; records what was answered. */
async function write(
  world: SimWorld,
  directory: LogDirectory,
  logs: readonly UnifiedLog[],
  history: History,
): Promise<void> {
  for (let set = 0; set < setsMax; set++) {
    const text = `${set}`.padEnd(set % 7 === 0 ? 2500 : 300, '.')
    const entries = logs.map((log) => ({ log, batch: batchOf([text]), leaderEpoch: 0, origin: 'client' as const }))
    const outcomes = directory.appendSet(entries)
    for (const [index, outcome] of outcomes.entries()) {
      const key = (logs[index] as UnifiedLog).key
      if (outcome.kind === 'refused') history.refused.push(text)
      else history.appended.set(key, [...(history.appended.get(key) ?? []), text])
    }
    if (set % 2 === 1) await world.runFor(6)
  }
}

function valuesOf(batches: readonly Uint8Array[]): string[] {
  return batches.map((batch) => /\d+\.*/.exec(Buffer.from(batch.subarray(61 + 5)).toString('latin1'))?.[0] ?? '?')
}

async function expectAll(world: SimWorld, directory: LogDirectory, history: History): Promise<void> {
  for (const [key, values] of history.appended) {
    const log = directory.logs.get(key)
    if (log === undefined) throw new Error(`${key} is gone`)
    expect(log.damage.ranges).toEqual([])
    expect(log.durableEndOffset, key).toBe(log.logEndOffset)
    expect(valuesOf(await world.settle(readAll(log))), key).toEqual(values)
  }
}

type Fault = { readonly operation: DiskOperation['kind']; readonly after: number; readonly code: string }

/** A history that meets the fault from the n-th operation of its kind on. */
async function untilFull(seed: number, fault: Fault, mutant: Mutant = (ports) => ports) {
  const { world, host, ports } = place(seed)
  const directory = await world.settle(openSmall(mutant(ports), { checkpointEveryBytes: 6000 }))
  const logs = await world.settle(Promise.all(['a', 'b', 'c'].map((topic) => createSmall(directory, topic))))
  const history: History = { appended: new Map(), refused: [] }
  const recover = host.failDisk(fault)
  await write(world, directory, logs, history)
  const acknowledged = new Map(logs.map((log) => [log.key, log.durableEndOffset]))
  const wasMet = directory.space.refusal !== null
  for (const log of logs) {
    // What is served meanwhile is whole.
    const found = valuesOf(await world.settle(readAll(log)))
    expect(found).toEqual(history.appended.get(log.key)?.slice(0, log.durableEndOffset))
  }
  return { world, host, directory, logs, history, acknowledged, recover, wasMet }
}

/** Space returns: everything that was taken is there, and the service goes on. */
async function passes(seed: number, fault: Fault): Promise<boolean> {
  const { world, host, directory, logs, history, recover, wasMet } = await untilFull(seed, fault)
  recover()
  const isWell = (): boolean =>
    directory.space.refusal === null && logs.every((log) => log.durableEndOffset === log.logEndOffset)
  await world.run(isWell, 20_000)
  expect(directory.failure).toBeNull()
  await expectAll(world, directory, history)
  await write(world, directory, logs, history)
  await world.runFor(200)
  await expectAll(world, directory, history)
  await world.settle(directory.close())
  expect(host.fileNow('/data/log/.kafka_cleanshutdown')).not.toBeNull()
  host.powerCut()
  await expectAll(world, await world.settle(openSmall(host.boot())), history)
  return wasMet
}

/** The life ends on the full disk, and the next one begins on it: what was acknowledged is there, a prefix of what was taken. */
async function survives(
  seed: number,
  fault: Fault,
  end: 'kill' | 'powerCut' | 'stop',
  mutant?: Mutant,
): Promise<boolean> {
  const { world, host, directory, history, acknowledged, recover, wasMet } = await untilFull(seed, fault, mutant)
  if (end === 'stop') await world.settle(directory.close())
  if (end === 'powerCut') host.powerCut()
  else host.kill()
  const opening = openSmall(host.boot())
  await world.runFor(3000)
  recover()
  const again = await world.settle(opening)
  for (const [key, values] of history.appended) {
    const log = again.logs.get(key) as UnifiedLog
    expect(log.damage.ranges).toEqual([])
    expect(log.logEndOffset, key).toBeGreaterThanOrEqual(acknowledged.get(key) ?? 0)
    expect(valuesOf(await world.settle(readAll(log))), key).toEqual(values.slice(0, log.logEndOffset))
    await world.run(() => again.space.refusal === null, 20_000)
    expect(appendOne(again, log, batchOf(['more']), 9)).toMatchObject({
      kind: 'appended',
      baseOffset: log.logEndOffset - 1,
    })
  }
  await world.runFor(100)
  for (const log of again.logs.values()) expect(log.durableEndOffset).toBe(log.logEndOffset)
  return wasMet
}

type Mutant = (ports: Ports) => Ports

/** Takes every group that met a lack of space for done. */
const acknowledgesAnyway: Mutant = (ports) => {
  const submit = ports.disk.submit.bind(ports.disk)
  ports.disk.submit = (operations, options) =>
    submit(operations, options).catch((thrown: unknown) => {
      if (!isSpaceError(thrown)) throw thrown
    })
  return ports
}

/** Runs one for every place of the history where the fault may begin. Answers in how many it was met. */
async function everywhere(runOne: (after: number) => Promise<boolean>): Promise<number> {
  let met = 0
  for (let after = 0; after < 400; after++) {
    if (!(await runOne(after))) break
    met++
  }
  return met
}

describe('a lack of space', () => {
  test.each([
    ['write', 'ENOSPC', 30],
    ['write', 'EFBIG', 30],
    ['writeFile', 'EDQUOT', 20],
    ['rename', 'ENOSPC', 4],
  ] as const)(
    'at any %s (%s) loses nothing, shows nothing half, and passes when space returns',
    async (operation, code, atLeast) => {
      const met = await everywhere((after) => passes(after + 1, { operation, code, after }))
      expect(met).toBeGreaterThanOrEqual(atLeast)
    },
  )

  test.each(['kill', 'powerCut', 'stop'] as const)('survives a %s, and a start on the full disk', async (end) => {
    for (const operation of ['write', 'writeFile', 'rename'] as const) {
      const met = await everywhere((after) => survives(after + 1, { operation, code: 'ENOSPC', after }, end))
      expect(met).toBeGreaterThanOrEqual(4)
    }
  })
})

describe('the history catches an engine that', () => {
  test('acknowledges what met a full disk', async () => {
    const wrong = everywhere((after) =>
      survives(after + 1, { operation: 'write', code: 'ENOSPC', after }, 'kill', acknowledgesAnyway),
    )
    await expect(wrong).rejects.toThrow()
  })
})

const space = { ballastBytes: 65_536 } as const

/** Appends one record a turn until an append is refused; answers how many were taken. */
async function fillUp(world: SimWorld, directory: LogDirectory, log: UnifiedLog, turnsMax = 4000): Promise<number> {
  let taken = 0
  for (let turn = 0; turn < turnsMax; turn++) {
    const outcome = appendOne(directory, log, batchOf([`${turn}`.padEnd(900, '.')], { timestampMs: 1 + world.nowMs }))
    if (outcome.kind === 'refused') return taken
    taken++
    await world.runFor(5)
  }
  return taken
}

describe('a file system that another program fills', () => {
  test('finishes with the ballast what was taken, refuses the rest, and takes data again when there is room', async () => {
    const { world, host, ports } = place(3)
    const directory = await world.settle(openSmall(ports, { space }))
    const log = await world.settle(createSmall(directory, 'a', { segmentBytes: 500_000 }))
    const own = await world.settle(createSmall(directory, '__own'))
    log.onDurable = () => {
      log.highWatermark = log.durableEndOffset
    }
    expect(await fillUp(world, directory, log, 1500)).toBe(1500)
    expect(host.fileNow('/data/state/ballast')?.length).toBe(65_536)
    // All at once, not a byte is left.
    host.image.capacityBytes = host.image.usedBytes
    const before = log.logEndOffset
    for (let turn = 0; turn < 20; turn++) appendOne(directory, log, batchOf([`${before + turn}`.padEnd(900, '.')]))
    const end = log.logEndOffset
    expect(end).toBeGreaterThan(before)
    await world.run(() => directory.space.refusal !== null, 2000)
    await world.run(() => log.durableEndOffset === end, 2000)
    await world.run(() => host.fileNow('/data/state/ballast') === null, 2000)
    expect(appendOne(directory, log, batchOf(['x']))).toMatchObject({ kind: 'refused', error: 'KAFKA_STORAGE_ERROR' })
    expect(
      directory.appendSet([
        { log, batch: batchOf(['x']), leaderEpoch: 0, origin: 'internal' },
        { log: own, batch: batchOf(['y']), leaderEpoch: 0, origin: 'internal' },
      ]),
    ).toMatchObject([{ error: 'KAFKA_STORAGE_ERROR' }, { error: 'OPERATION_NOT_ATTEMPTED' }])
    expect(appendOne(directory, own, batchOf(['this node itself goes on'])).kind).toBe('appended')
    await world.run(() => own.durableEndOffset === 1, 2000)
    expect(await world.settle(readAll(log))).toHaveLength(end)
    host.image.capacityBytes = Number.POSITIVE_INFINITY
    await world.run(() => directory.space.refusal === null, 30_000)
    expect(host.fileNow('/data/state/ballast')?.length).toBe(65_536)
    expect(await fillUp(world, directory, log, 3)).toBe(3)
    expect(host.observer.eventsOf('log-data-refused')).toHaveLength(1)
    expect(host.observer.eventsOf('log-data-taken')).toHaveLength(1)
    await world.settle(directory.close())
  })

  test('starts, reads and stops cleanly without a free byte', async () => {
    const { world, host, ports } = place(4)
    let directory = await world.settle(openSmall(ports, { space }))
    const log = await world.settle(createSmall(directory, 'a', { segmentBytes: 500_000 }))
    await fillUp(world, directory, log, 1500)
    const acknowledged = log.durableEndOffset
    host.kill()
    host.image.capacityBytes = host.image.usedBytes
    // The ballast is enough for a clean stop; without it a stop leaves the rest to the next start.
    for (const end of ['clean stop', 'powerCut', 'stop'] as const) {
      directory = await world.settle(openSmall(host.boot(), { space }))
      const found = directory.logs.get('a-0') as UnifiedLog
      expect(found.logEndOffset).toBeGreaterThanOrEqual(acknowledged)
      expect(await world.settle(readAll(found))).toHaveLength(found.logEndOffset)
      await world.runFor(3000)
      expect(appendOne(directory, found, batchOf(['x']))).toMatchObject({ error: 'KAFKA_STORAGE_ERROR' })
      if (end === 'powerCut') host.powerCut()
      else {
        await world.settle(directory.close())
        expect(host.fileNow('/data/log/.kafka_cleanshutdown') !== null).toBe(end === 'clean stop')
        expect(host.observer.eventsOf('log-directory-failed')).toHaveLength(0)
        host.kill()
      }
      host.image.capacityBytes = host.image.usedBytes
    }
  })
})

describe('a budget', () => {
  const budgetBytes = 400_000
  const withinBudget = async (options: SpaceOptions, host: SimHost, world: SimWorld, ports: Ports) => {
    const directory = await world.settle(openSmall(ports, { space: options }))
    const log = await world.settle(createSmall(directory, 'a'))
    const other = await world.settle(createSmall(directory, 'b'))
    for (const each of [log, other]) {
      each.onDurable = () => {
        each.highWatermark = each.durableEndOffset
      }
    }
    await fillUp(world, directory, other, 50)
    const losses: Loss[] = []
    directory.onLoss((loss) => Promise.resolve(losses.push(loss) > 0))
    const taken = await fillUp(world, directory, log, 1500)
    await world.runFor(100)
    expect(host.image.usedBytes).toBeLessThan(budgetBytes * 1.05)
    return { directory, log, other, losses, taken }
  }

  test('that is used up refuses new data, and takes it again when retention has made room', async () => {
    const { world, host, ports } = place(5)
    const { directory, log } = await withinBudget({ budgetBytes }, host, world, ports)
    expect(appendOne(directory, log, batchOf(['x']))).toMatchObject({ error: 'KAFKA_STORAGE_ERROR' })
    expect(directory.space.refusal).toContain('budget of 400000 bytes')
    log.updateConfig({ ...log.config, retentionBytes: 100_000, fileDeleteDelayMs: 1000 })
    await world.settle(directory.retain())
    await world.run(() => directory.space.refusal === null, 10_000)
    expect(await fillUp(world, directory, log, 3)).toBe(3)
  })

  test('with drop-oldest gives up the oldest segments, each told before it goes', async () => {
    const { world, host, ports } = place(6)
    const { directory, log, other, losses, taken } = await withinBudget(
      { budgetBytes, whenFull: 'drop-oldest' },
      host,
      world,
      ports,
    )
    expect(taken).toBe(1500)
    expect(losses[0]).toMatchObject({ topic: 'b', partition: 0, startOffset: 0, reason: 'disk budget' })
    for (const each of [log, other]) {
      const own = losses.filter((loss) => loss.topic === each.topic)
      expect(own.at(-1)?.endOffset).toBe(each.logStartOffset)
      own.slice(1).forEach((loss, index) => expect(loss.startOffset).toBe(own[index]?.endOffset))
      expect(await world.settle(readAll(each))).toHaveLength(each.logEndOffset - each.logStartOffset)
    }
    expect(host.observer.figure('headwater_log_dropped_bytes_total')).toBe(
      losses.reduce((sum, loss) => sum + loss.bytes, 0),
    )
    await world.settle(directory.close())
  })

  test('that an engine ignores is found out', async () => {
    const { world, host, ports } = place(7)
    await expect(withinBudget({}, host, world, ports)).rejects.toThrow('less than')
  })
})
