import { describe, expect, test } from 'vitest'
import type { MirrorAnchor } from '../../src/mirror/anchor.ts'
import { MirrorTask } from '../../src/mirror/mirror-task.ts'
import type { SendUnit, TaskEffect } from '../../src/mirror/task-events.ts'
import { Prng } from '../sim/prng.ts'
import { TaskModel } from './task-model.ts'

const anchor: MirrorAnchor = {
  producerId: 7,
  producerEpoch: 2,
  sourceOffset: 1_000,
  targetTopic: 't',
  targetTopicId: 'topic-a',
  targetEndOffset: 50,
  confirmedEnd: 1_100,
}

function taskWith(kept: MirrorAnchor | null, startFrom: 'earliest' | 'latest' = 'earliest'): MirrorTask {
  return new MirrorTask({ targetTopic: 't', startFrom, anchor: kept, batchBytesMax: 1_000_000, idleMs: 30_000 })
}

const unit = (baseOffset: number, endOffset: number, bytes = 100): SendUnit => ({
  batch: new Uint8Array(bytes),
  baseOffset,
  endOffset,
})
const kinds = (effects: readonly TaskEffect[]): string[] =>
  effects.filter((effect) => effect.kind !== 'report').map((effect) => effect.kind)
const ready = (topicId = 'topic-a'): { kind: 'targetReady'; topicId: string; batchBytesMax: null } => ({
  kind: 'targetReady',
  topicId,
  batchBytesMax: null,
})

/** A task that streams under `anchor` from offset 1100, source end 5000. */
function streaming(): MirrorTask {
  const task = taskWith(anchor)
  task.step({ kind: 'sourceAdvanced', startOffset: 0, endOffset: 5_000 })
  expect(kinds(task.step(ready()))).toEqual(['resolve'])
  const resume = { offset: 1_100, proof: 'sequence', needsNewProducer: false } as const
  expect(kinds(task.step({ kind: 'resolved', resume, nowMs: 0 }))).toEqual(['ready'])
  return task
}

function chunk(task: MirrorTask, ...units: SendUnit[]): readonly TaskEffect[] {
  const request = task.readRequest()
  expect(request).not.toBeNull()
  return task.step({
    kind: 'chunk',
    ticket: request?.ticket ?? -1,
    items: units.map((u) => ({ kind: 'unit', unit: u })),
    nowMs: 2,
  })
}

describe('a mirror task', () => {
  test('sends nothing before its first anchor is durable', () => {
    const task = taskWith(null)
    task.step({ kind: 'sourceAdvanced', startOffset: 10, endOffset: 20 })
    expect(task.step(ready())).toEqual([{ kind: 'prepare', needsProducerId: true }])
    const [write] = task.step({ kind: 'prepared', producerId: 5, targetEndOffset: 3 })
    expect(write).toMatchObject({
      kind: 'writeAnchor',
      anchor: { producerId: 5, producerEpoch: 0, sourceOffset: 10, targetEndOffset: 3, targetTopicId: 'topic-a' },
    })
    expect(task.readRequest()).toBeNull()
    expect(kinds(task.step({ kind: 'anchorDurable', nowMs: 0 }))).toEqual(['ready'])
    expect(task.readRequest()).toEqual({ ticket: expect.any(Number), fromOffset: 10, endOffset: 20 })
  })

  test('a mirror that starts from the latest begins at the end of the source', () => {
    const task = taskWith(null, 'latest')
    task.step({ kind: 'sourceAdvanced', startOffset: 10, endOffset: 20 })
    task.step(ready())
    expect(task.step({ kind: 'prepared', producerId: 5, targetEndOffset: 3 })).toMatchObject([
      { anchor: { sourceOffset: 20 } },
    ])
  })

  test('the first batch travels alone, then the window is open', () => {
    const task = streaming()
    const first = unit(1_100, 1_110)
    expect(kinds(chunk(task, first, unit(1_110, 1_120)))).toEqual(['send', 'discard'])
    expect(task.readRequest()).toBeNull()
    expect(kinds(task.step({ kind: 'acknowledged', unit: first, targetBaseOffset: 60, nowMs: 1 }))).toEqual(['ready'])
    expect(kinds(chunk(task, unit(1_110, 1_120), unit(1_120, 1_130)))).toEqual(['send', 'send', 'ready'])
    expect(kinds(chunk(task, unit(1_130, 1_140)))).toEqual(['send', 'ready'])
    expect(task.confirmedEnd).toBe(1_110)
  })

  test('after a long silence it asks the target again before it sends', () => {
    const task = streaming()
    const first = unit(1_100, 5_000)
    chunk(task, first)
    task.step({ kind: 'acknowledged', unit: first, targetBaseOffset: 60, nowMs: 1_000 })
    task.step({ kind: 'sourceAdvanced', startOffset: 0, endOffset: 6_000 })
    const request = task.readRequest()
    const items = [unit(5_000, 5_001), unit(5_001, 5_002)].map((u) => ({ kind: 'unit' as const, unit: u }))
    expect(kinds(task.step({ kind: 'chunk', ticket: request?.ticket ?? -1, items, nowMs: 100_000 }))).toEqual([
      'resolve',
      'discard',
      'discard',
    ])
  })

  test('after a refusal it waits for the other answers, then asks the target where it is', () => {
    const task = streaming()
    const first = unit(1_100, 1_110)
    chunk(task, first)
    task.step({ kind: 'acknowledged', unit: first, targetBaseOffset: 60, nowMs: 1 })
    const [second, third] = [unit(1_110, 1_120), unit(1_120, 1_130)]
    chunk(task, second, third)
    expect(
      kinds(task.step({ kind: 'refused', unit: second, action: 'moved', reason: 'NOT_LEADER_OR_FOLLOWER' })),
    ).toEqual([])
    expect(task.readRequest()).toBeNull()
    const effects = task.step({
      kind: 'refused',
      unit: third,
      action: 'resolve',
      reason: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
    })
    expect(kinds(effects)).toEqual(['refreshMetadata', 'wait'])
    expect(task.reason).toBe('NOT_LEADER_OR_FOLLOWER')
    expect(kinds(task.step({ kind: 'timer' }))).toEqual(['resolve'])
  })

  test('a hole in the source begins a new epoch, when all below it is confirmed', () => {
    const task = streaming()
    const first = unit(1_100, 1_110)
    expect(kinds(chunk(task, first, unit(1_112, 1_120)))).toEqual(['send', 'discard'])
    const effects = task.step({ kind: 'acknowledged', unit: first, targetBaseOffset: 60, nowMs: 1 })
    expect(kinds(effects)).toEqual(['prepare'])
    expect(task.step({ kind: 'prepared', producerId: null, targetEndOffset: 70 })).toMatchObject([
      { kind: 'writeAnchor', anchor: { producerId: 7, producerEpoch: 3, sourceOffset: 1_112, targetEndOffset: 70 } },
    ])
  })

  test('a target topic that was created anew gets everything from the start, and the operator hears of it', () => {
    const task = taskWith(anchor)
    task.step({ kind: 'sourceAdvanced', startOffset: 40, endOffset: 5_000 })
    const effects = task.step(ready('topic-b'))
    expect(effects).toEqual([
      { kind: 'report', report: { kind: 'targetRecreated', oldTopicId: 'topic-a', newTopicId: 'topic-b' } },
      { kind: 'prepare', needsProducerId: false },
    ])
    expect(task.step({ kind: 'prepared', producerId: null, targetEndOffset: 0 })).toMatchObject([
      { anchor: { producerEpoch: 3, sourceOffset: 40, targetTopicId: 'topic-b' } },
    ])
  })

  test('too large a batch is made smaller; a single record that is too large parks the partition', () => {
    const task = streaming()
    const first = unit(1_100, 1_110, 8_000)
    chunk(task, first)
    expect(kinds(task.step({ kind: 'refused', unit: first, action: 'smaller', reason: 'MESSAGE_TOO_LARGE' }))).toEqual([
      'resolve',
    ])
    expect(task.batchBytesMax).toBe(4_000)
    task.step({ kind: 'resolved', resume: { offset: 1_100, proof: 'sequence', needsNewProducer: false }, nowMs: 0 })
    const single = unit(1_100, 1_101, 8_000)
    chunk(task, single)
    expect(kinds(task.step({ kind: 'refused', unit: single, action: 'smaller', reason: 'MESSAGE_TOO_LARGE' }))).toEqual(
      ['wait'],
    )
    expect([task.state, task.reason]).toEqual(['parked', 'the record at offset 1100: MESSAGE_TOO_LARGE'])
  })

  test('records that the source deleted before they were sent are reported, never passed over in silence', () => {
    const task = streaming()
    const request = task.readRequest()
    const effects = task.step({ kind: 'outOfRange', ticket: request?.ticket ?? -1, startOffset: 3_000 })
    expect(effects).toEqual([
      { kind: 'report', report: { kind: 'recordsLost', fromOffset: 1_100, endOffset: 3_000 } },
      { kind: 'prepare', needsProducerId: false },
    ])
  })

  test('an anchor is used for half the range of sequence numbers only', () => {
    const task = taskWith({ ...anchor, sourceOffset: 0, confirmedEnd: 0 })
    task.step({ kind: 'sourceAdvanced', startOffset: 0, endOffset: 2 ** 31 })
    task.step(ready())
    task.step({
      kind: 'resolved',
      resume: { offset: 2 ** 30 - 5, proof: 'sequence', needsNewProducer: false },
      nowMs: 0,
    })
    const last = unit(2 ** 30 - 5, 2 ** 30)
    expect(kinds(chunk(task, last))).toEqual(['send'])
    task.step({ kind: 'acknowledged', unit: last, targetBaseOffset: 60, nowMs: 1 })
    expect(kinds(chunk(task, unit(2 ** 30, 2 ** 30 + 1)))).toEqual(['discard', 'prepare'])
  })

  test('a long outage is one state and no effects', () => {
    const task = streaming()
    chunk(task, unit(1_100, 1_110))
    task.step({ kind: 'targetGone' })
    for (let index = 0; index < 1_000; index++) {
      expect(task.step({ kind: 'sourceAdvanced', startOffset: 0, endOffset: 6_000 + index })).toEqual([])
    }
    expect(task.state).toBe('waiting')
    expect(kinds(task.step(ready()))).toEqual(['resolve'])
  })
})

describe('whatever happens on the way', () => {
  const troubles = { cut: 20, crash: 12, refuse: 60, forget: 4, hole: 120, foreign: 15, denied: 250 }

  test('every record arrives once and in order, over 400 seeds of cuts, kills, refusals and forgotten producers', () => {
    for (let seed = 1; seed <= 400; seed++) {
      const model = new TaskModel(new Prng(seed), { troubles })
      for (let step = 0; step < 1_200; step++) model.step()
      expect(model.settle(), `seed ${seed} comes to rest: ${model.task.state} ${model.task.reason}`).toBe(true)
      expect(model.target.content(), `seed ${seed}`).toEqual(model.source)
    }
  })
})
