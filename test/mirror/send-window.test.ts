import { describe, expect, test } from 'vitest'
import { backOffMs } from '../../src/mirror/back-off.ts'
import { BufferPool } from '../../src/mirror/buffer-pool.ts'
import { Gate } from '../../src/mirror/gate.ts'
import { refusalAction } from '../../src/mirror/produce-errors.ts'
import { RateMeter } from '../../src/mirror/rate-meter.ts'
import { SendWindow, windowBytesMin } from '../../src/mirror/send-window.ts'
import { kafkaErrors, type KafkaErrorName } from '../../src/protocol/kafka/error-codes.ts'

const mebibyte = 1024 * 1024

describe('the window', () => {
  test('doubles while it is full and answers are quick, up to its bound', () => {
    const window = new SendWindow(12 * mebibyte)
    const widths: number[] = []
    for (let round = 0; round < 5; round++) {
      while (window.hasRoom(0)) window.sent(mebibyte)
      window.answered(mebibyte, 0, 20)
      widths.push(window.bytes / mebibyte)
    }
    expect(widths).toEqual([2, 4, 8, 12, 12])
  })

  test('stays as it is while nothing presses, and halves with each slow answer down to its floor', () => {
    const window = new SendWindow(12 * mebibyte)
    window.sent(100)
    window.answered(100, 0, 20)
    expect(window.bytes).toBe(mebibyte)
    for (let round = 0; round < 20; round++) {
      window.sent(100)
      window.answered(100, round * 30_000, (round + 1) * 30_000)
    }
    expect(window.bytes).toBe(windowBytesMin)
    expect(window.inFlightBytes).toBe(0)
  })

  test('halves once for one stall, whatever was under way in it', () => {
    const window = new SendWindow(12 * mebibyte)
    for (let sent = 0; sent < 50; sent++) window.sent(1_000)
    for (let sent = 0; sent < 50; sent++) window.answered(1_000, sent, 9_000 + sent)
    expect(window.bytes).toBe(mebibyte / 2)
  })

  test('counts what is being read for it as under way', () => {
    const window = new SendWindow(12 * mebibyte)
    expect([window.hasRoom(mebibyte - 1), window.hasRoom(mebibyte)]).toEqual([true, false])
  })
})

describe('small parts', () => {
  test('back-off doubles to its bound, its second half by chance', () => {
    const bounds = { firstMs: 250, maxMs: 60_000 }
    const entropy = (draw: number) => ({ uint32: () => draw, below: () => 0, bytes: () => new Uint8Array() })
    expect([1, 2, 3, 9, 99].map((attempt) => backOffMs(attempt, bounds, entropy(0)))).toEqual([
      125, 250, 500, 30_000, 30_000,
    ])
    expect(Math.round(backOffMs(1, bounds, entropy(2 ** 32 - 1)))).toBe(250)
  })

  test('the pool gives back what it was given, and never a large buffer for a small piece', () => {
    const pool = new BufferPool(1_000, 1)
    const [first, second] = [pool.take(900), pool.take(900)]
    pool.give(first.subarray(0, 10))
    pool.give(second)
    expect(pool.take(600).buffer).toBe(first.buffer)
    expect(pool.take(600).buffer).not.toBe(second.buffer)
    expect(pool.take(10).length).toBe(10)
    expect(pool.take(5_000).length).toBe(5_000)
  })

  test('the gate lets so many through at once, the others in order', async () => {
    const gate = new Gate(2)
    const log: string[] = []
    const finish: (() => void)[] = []
    const task = (name: string) =>
      gate.run(() => {
        log.push(name)
        return new Promise<void>((resolve) => finish.push(resolve))
      })
    const all = ['a', 'b', 'c', 'd'].map(task)
    await Promise.resolve()
    expect(log).toEqual(['a', 'b'])
    finish[0]?.()
    await all[0]
    await Promise.resolve()
    expect(log).toEqual(['a', 'b', 'c'])
    finish[1]?.()
    finish[2]?.()
    await Promise.all([all[1], all[2]])
    await Promise.resolve()
    finish[3]?.()
    await all[3]
    expect(log).toEqual(['a', 'b', 'c', 'd'])
  })

  test('the rate follows the last seconds and falls to nothing', () => {
    const meter = new RateMeter()
    for (let ms = 0; ms <= 60_000; ms += 10) meter.add(1_000, ms)
    expect(meter.bytesPerSecond(60_000)).toBeGreaterThan(99_000)
    expect(meter.bytesPerSecond(60_000)).toBeLessThan(101_000)
    expect(meter.bytesPerSecond(600_000)).toBe(0)
  })

  test('every error of Kafka has an action, and none of them loses records', () => {
    const actions = new Map<string, KafkaErrorName[]>()
    for (const name of Object.keys(kafkaErrors) as KafkaErrorName[]) {
      if (name === 'NONE') continue
      const action = refusalAction(name)
      actions.set(action, [...(actions.get(action) ?? []), name])
    }
    expect(actions.get('done')).toEqual(['DUPLICATE_SEQUENCE_NUMBER'])
    expect(actions.get('smaller')).toEqual(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
    expect(actions.get('resolve')).toEqual(['OUT_OF_ORDER_SEQUENCE_NUMBER'])
    expect(actions.get('retry')).toEqual(
      expect.arrayContaining(['NOT_ENOUGH_REPLICAS', 'REQUEST_TIMED_OUT', 'NETWORK_EXCEPTION']),
    )
    expect(actions.get('park')).toEqual(
      expect.arrayContaining(['TOPIC_AUTHORIZATION_FAILED', 'INVALID_TIMESTAMP', 'POLICY_VIOLATION']),
    )
  })
})
