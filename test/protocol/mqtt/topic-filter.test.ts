import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { filterMatches, judgeFilter, TopicFilterTrie } from '../../../src/protocol/mqtt/topic-filter.ts'

describe('topic filters', () => {
  it.each([
    ['a', 'valid'],
    ['/', 'valid'],
    ['+', 'valid'],
    ['#', 'valid'],
    ['a/+/b/#', 'valid'],
    ['+/+', 'valid'],
    ['$SYS/#', 'valid'],
    ['', 'malformed'],
    ['a+', 'malformed'],
    ['a/b+/c', 'malformed'],
    ['a/#/b', 'malformed'],
    ['a#', 'malformed'],
    ['##', 'malformed'],
    ['$share/g/a', 'valid'],
    ['$share/g', 'malformed'],
    ['$share//a', 'malformed'],
    ['$share/g+/a', 'malformed'],
    ['$share/g/a+', 'malformed'],
    ['$share', 'malformed'],
    ['$shared/a', 'valid'],
    [`${'a/'.repeat(200)}b`, 'valid'],
    [`${'a/'.repeat(256)}b`, 'tooDeep'],
  ])('%s is %s', (filter, verdict) => {
    expect(judgeFilter(filter)).toBe(verdict)
  })

  // The examples of 4.7.1.2, 4.7.1.3 and 4.7.2.
  it.each([
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/x', false],
    ['+/monitor/Clients', '$SYS/monitor/Clients', false],
    ['$SYS/#', '$SYS/x', true],
    ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
    ['ACCOUNTS', 'Accounts', false],
  ])('%s and %s: %s', (filter, topic, expected) => {
    expect(filterMatches(filter, topic)).toBe(expected)
    const trie = new TopicFilterTrie<string>(10, 1000)
    trie.set(filter, 'owner', filter)
    const found: string[] = []
    trie.match(topic, (value) => found.push(value))
    expect(found).toEqual(expected ? [filter] : [])
  })

  it('finds in the trie exactly what matches one by one, through additions and removals', () => {
    const level = fc.constantFrom('a', 'b', '', '$x')
    const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
    const filters = fc
      .array(fc.constantFrom('a', 'b', '', '$x', '+', '#'), { minLength: 1, maxLength: 4 })
      .map((levels) => levels.join('/'))
      .filter((filter) => judgeFilter(filter) === 'valid')
    const steps = fc.array(fc.tuple(filters, fc.constantFrom('c1', 'c2'), fc.boolean()), { maxLength: 40 })
    fc.assert(
      fc.property(steps, fc.array(topics, { minLength: 1, maxLength: 6 }), (list, names) => {
        const trie = new TopicFilterTrie<string>(100, 1000)
        const model = new Map<string, string>()
        for (const [filter, owner, isAddition] of list) {
          const key = `${owner} ${filter}`
          if (isAddition) {
            trie.set(filter, owner, key)
            model.set(key, filter)
          } else {
            expect(trie.delete(filter, owner)).toBe(model.delete(key))
          }
        }
        expect(trie.size).toBe(model.size)
        for (const topic of names.filter((name) => name.length > 0)) {
          const found: string[] = []
          trie.match(topic, (value) => found.push(value))
          const expected = [...model].filter(([, filter]) => filterMatches(filter, topic)).map(([key]) => key)
          expect(found.toSorted()).toEqual(expected.toSorted())
        }
      }),
      { numRuns: 500 },
    )
  })

  it('has a bound on subscriptions and on the length of their filters', () => {
    const trie = new TopicFilterTrie<number>(2, 10)
    trie.set('a/b', 'c1', 1)
    trie.set('a/b', 'c1', 2)
    expect([trie.hasRoomFor('c'), trie.hasRoomFor('12345678')]).toEqual([true, false])
    trie.set('c', 'c1', 1)
    expect(trie.hasRoomFor('d')).toBe(false)
    trie.delete('a/b', 'c1')
    expect(trie.hasRoomFor('123456789')).toBe(true)
  })
})
