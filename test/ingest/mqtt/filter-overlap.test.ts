import { describe, expect, it } from 'vitest'
import { TopicMapping } from '../../../src/ingest/mqtt/topic-mapping.ts'

describe('a rule without headers', () => {
  it.each([
    ['a/{id}', 'a/b', true],
    ['a/{id}', 'a', false],
    ['a/{id}', 'a/+', true],
    ['a/{id}', '+/b', true],
    ['a/{id}', 'a/b/c', false],
    ['a/{id}', '#', true],
    ['a/{id}', 'a/#', true],
    ['a/{id}', 'b/#', false],
    ['a/+/c', 'a/b/d', false],
    ['a/+/c', 'a/b/+', true],
    ['a/{rest...}', 'a', true],
    ['a/{rest...}', 'a/b/c', true],
    ['a/{rest...}', 'b', false],
    ['a/#', '+', true],
    ['a/b', 'a/b', true],
    ['a/b', 'a/c', false],
  ] as const)('%s and a subscription to %s have a topic in common: %s', (match, filter, expected) => {
    const rule = { match, topic: 'plant', headers: 'none' } as const
    expect(new TopicMapping([rule]).isBare(filter)).toBe(expected)
    expect(new TopicMapping([{ ...rule, headers: 'minimal' }]).isBare(filter)).toBe(false)
  })
})
