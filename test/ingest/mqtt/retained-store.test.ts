import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RetainedRecord, RetainedStore } from '../../../src/ingest/mqtt/retained-store.ts'
import { noHeaders } from '../../../src/protocol/records/record.ts'
import { filterMatches } from '../../../src/protocol/mqtt/topic-filter.ts'

const record = (topic: string, payload = 'x'): RetainedRecord => {
  return { topic: Buffer.from(topic), payload: Buffer.from(payload), headers: noHeaders, expiresMs: null }
}

function matched(store: RetainedStore, filter: string): string[] {
  const topics: string[] = []
  for (const entry of store.walk(filter)) if (entry !== null) topics.push(entry.topic)
  return topics.toSorted()
}

const level = fc.constantFrom('a', 'b', '', '$SYS', '__proto__', 'ö')
const topic = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((name) => name !== '')
const steps = fc.array(fc.tuple(topic, fc.integer({ min: -1, max: 40 })), { maxLength: 30 })

describe('the retained store', () => {
  it('matches what the filter rules say, whatever was set and taken away', () => {
    const filterLevel = fc.oneof(level, fc.constant('+'))
    const filter = fc
      .tuple(fc.array(filterLevel, { maxLength: 4 }), fc.boolean())
      .map(([levels, isOpen]) => [...levels, ...(isOpen || levels.length === 0 ? ['#'] : [])].join('/'))
    fc.assert(
      fc.property(steps, filter, (sets, asked) => {
        const store = new RetainedStore()
        const model = new Set<string>()
        for (const [name, length] of sets) {
          if (length >= 0) store.set(name, record(name))
          else store.remove(name)
          if (length >= 0) model.add(name)
          else model.delete(name)
        }
        expect(matched(store, asked)).toEqual([...model].filter((name) => filterMatches(asked, name)).toSorted())
        expect(store.size).toBe(model.size)
      }),
    )
  })

  it('uses what it says that it would grow by, and gives everything back', () => {
    fc.assert(
      fc.property(steps, (sets) => {
        const store = new RetainedStore()
        const names = new Set<string>()
        for (const [name, length] of sets) {
          const before = store.usedBytes
          const growth = store.growth(name, Buffer.byteLength(name) + Math.max(0, length) + noHeaders.length)
          if (length < 0) store.remove(name)
          else {
            store.set(name, record(name, 'x'.repeat(length)))
            expect(store.usedBytes - before).toBe(growth)
            names.add(name)
          }
        }
        for (const name of names) store.remove(name)
        expect([store.usedBytes, store.size]).toEqual([0, 0])
      }),
    )
  })

  it('keeps bytes as they are', () => {
    const store = new RetainedStore()
    const payload = Uint8Array.from({ length: 256 }, (_, at) => at)
    store.set('ö/x', { ...record('ö/x'), payload })
    const entry = [...store.walk('ö/x')].find((each) => each !== null)
    expect(entry?.message?.payload).toEqual(Buffer.from(payload))
    expect(entry?.message?.topic).toEqual(Buffer.from('ö/x'))
  })

  it('is walked on while it changes: what stays is seen once, what has gone is not', () => {
    const store = new RetainedStore()
    const names = Array.from({ length: 100 }, (_, at) => `a/${at}/x`)
    for (const name of names) store.set(name, record(name))
    const seen: string[] = []
    for (const entry of store.walk('a/+/x')) {
      if (entry === null) continue
      seen.push(entry.topic)
      if (seen.length === 10) for (let at = 50; at < 100; at += 1) store.remove(`a/${at}/x`)
    }
    expect(seen.toSorted()).toEqual(names.slice(0, 50).toSorted())
  })
})
