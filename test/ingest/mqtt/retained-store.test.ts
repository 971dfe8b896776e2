import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OutgoingMessage } from '../../../src/ingest/mqtt/outgoing-message.ts'
import { RetainedStore, retainedSize } from '../../../src/ingest/mqtt/retained-store.ts'
import { filterMatches } from '../../../src/protocol/mqtt/topic-filter.ts'

const message = (topic: string): OutgoingMessage => new OutgoingMessage(Buffer.from(topic), Buffer.from('x'), [])

function matched(store: RetainedStore, filter: string): string[] {
  const topics: string[] = []
  store.match(filter, ({ topic }) => topics.push(topic))
  return topics.toSorted()
}

describe('the retained store', () => {
  it('matches what the filter rules say, whatever was set and taken away', () => {
    const level = fc.constantFrom('a', 'b', '', '$SYS', '__proto__')
    const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
    const filterLevel = fc.oneof(level, fc.constant('+'))
    const filter = fc
      .tuple(fc.array(filterLevel, { maxLength: 4 }), fc.boolean())
      .map(([levels, isOpen]) => [...levels, ...(isOpen || levels.length === 0 ? ['#'] : [])].join('/'))
    fc.assert(
      fc.property(fc.array(fc.tuple(topic, fc.boolean()), { maxLength: 30 }), filter, (steps, asked) => {
        const store = new RetainedStore()
        const model = new Set<string>()
        for (const [name, isSet] of steps.filter(([each]) => each !== '')) {
          store.apply(name, isSet ? message(name) : null, retainedSize(name, 10))
          if (isSet) model.add(name)
          else model.delete(name)
        }
        expect(matched(store, asked)).toEqual([...model].filter((name) => filterMatches(asked, name)).toSorted())
        expect(store.usedBytes).toBe([...model].reduce((sum, name) => sum + retainedSize(name, 10), 0))
      }),
    )
  })
})
