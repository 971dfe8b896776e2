import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CachedByTopic, hashTopic, TopicCache } from '../../../src/ingest/mqtt/route-cache.ts'

interface Entry extends CachedByTopic {
  readonly name: string
}

function entryOf(name: string): Entry {
  const topic = Buffer.from(name)
  return { name, topic, topicHash: hashTopic(topic, 0, topic.length) }
}

function find(cache: TopicCache<Entry>, name: string): string | undefined {
  const padded = Buffer.from(`..${name}..`)
  return cache.find(hashTopic(padded, 2, padded.length - 2), padded, 2, padded.length - 2)?.name
}

describe('the topic cache', () => {
  it('answers the entry of the very bytes, or nothing', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ maxLength: 6 }), { maxLength: 60 }), (names) => {
        const cache = new TopicCache<Entry>(64)
        names.forEach((name, index) => {
          if (index % 2 === 0) cache.add(entryOf(name))
        })
        names.forEach((name, index) => {
          expect(find(cache, name)).toBe(index % 2 === 0 ? name : undefined)
        })
      }),
    )
  })

  it('forgets what is not used and keeps what is, within its bound', () => {
    const cache = new TopicCache<Entry>(64)
    cache.add(entryOf('used'))
    for (let count = 0; count < 10_000; count += 1) {
      cache.add(entryOf(`stray/${count}`))
      expect(find(cache, 'used')).toBe('used')
    }
    let kept = 0
    for (let count = 0; count < 10_000; count += 1) if (find(cache, `stray/${count}`) !== undefined) kept += 1
    expect(kept).toBeLessThanOrEqual(128)
    cache.add(entryOf('x'.repeat(2000)))
    expect(find(cache, 'x'.repeat(2000))).toBeUndefined()
    cache.clear()
    expect(find(cache, 'used')).toBeUndefined()
  })
})
