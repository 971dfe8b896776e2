import { describe, expect, it } from 'vitest'
import { DecodingJob, DecodingQueue } from '../../../src/ingest/mqtt/decoding-queue.ts'
import type { Sliced } from '../../../src/protocol/sparkplug/wire-fields.ts'
import { simWorld } from '../../sim/world.ts'

function* slices(name: string, count: number, seen: string[]): Sliced<string> {
  for (let slice = 1; slice < count; slice += 1) {
    seen.push(`${name}${slice}`)
    yield
  }
  seen.push(`${name}${count}`)
  return name
}

function open() {
  const world = simWorld(1)
  const { clock } = world.host('edge').boot()
  return { world, clock, queue: new DecodingQueue<string>(clock) }
}

describe('the queue of long decodings', () => {
  it('does a slice a turn, one job after the other, and tells when each is done', async () => {
    const { world, clock, queue } = open()
    const seen: string[] = []
    for (const name of ['a', 'b']) {
      const job = new DecodingJob(slices(name, 3, seen))
      queue.add(job)
      job.whenDone(() => seen.push(`${name} done`))
    }
    // Something of another in every turn.
    const tick = (): void => void (seen.length < 10 && (seen.push('.'), clock.schedule(1, tick)))
    tick()
    await world.runFor(100)
    expect(seen.filter((each) => each !== '.')).toEqual(['a1', 'a2', 'a3', 'a done', 'b1', 'b2', 'b3', 'b done'])
    expect(seen.join(' ')).not.toContain('a1 a2')
  })

  it('gives places to those who wait, also when those before them are gone', async () => {
    const { world, queue } = open()
    const jobs: DecodingJob<string>[] = []
    const add = (): void => {
      const job = new DecodingJob(slices('x', 2, []))
      jobs.push(job)
      queue.add(job)
    }
    while (queue.hasRoom) add()
    const count = jobs.length
    let called = 0
    for (let gone = 0; gone < count * 2; gone += 1) queue.whenRoom(() => void (called += 1))
    queue.whenRoom(add)
    expect(called).toBe(0)
    await world.runFor(1000)
    expect([called, jobs.length, jobs.every(({ result }) => result === 'x')]).toEqual([count * 2, count + 1, true])
    let isCalled = false
    queue.whenRoom(() => {
      isCalled = true
    })
    expect(isCalled).toBe(true)
  })

  it('does nothing any more when it is stopped', async () => {
    const { world, queue } = open()
    const seen: string[] = []
    queue.add(new DecodingJob(slices('a', 3, seen)))
    queue.stop()
    await world.runFor(100)
    expect(seen).toEqual([])
  })
})
