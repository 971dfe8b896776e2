import { describe, expect, it } from 'vitest'
import { explainRoute, type RouteExplanation, type RouteQuestion } from '../../../src/ingest/mqtt/route-explanation.ts'
import type { TopicRoute } from '../../../src/ingest/mqtt/topic-mapping.ts'
import { DoorWorld } from './door-world.ts'

const routes: readonly TopicRoute[] = [
  { match: 'plant/{line}/temp', topic: 'temp', key: '{line}', headers: 'full' },
  { match: 'plant/{line}/{rest...}', topic: 'plant.{line}', partitionBy: '{line}' },
  { match: 'plant/#', topic: 'plant-all' },
  { match: 'raw/{a}/{b}', topic: '{a}-{b}', headers: 'none' },
  { match: 'long/{x}', topic: '{x}' },
]
const rules = { routes, lastResortTopic: 'mqtt.unrouted', autoTopicsMax: 64, commandRoutes: [] }
const question: RouteQuestion = {
  topic: '',
  clientId: 'c',
  userName: null,
  level: 5,
  qos: 1,
  retain: false,
  partitions: 2,
}

const explain = (topic: string, more: Partial<RouteQuestion> = {}): RouteExplanation =>
  explainRoute(rules, { ...question, topic, ...more })

describe('an explanation', () => {
  it.each([
    'plant/l1/temp',
    'plant/l1/pump/rpm',
    'plant/l 1/pump',
    'plant',
    'raw/x/y',
    'other/a/b',
    '/leading',
    'grün/é',
    'long/..',
  ])('of %s says what becomes of a publish', async (topic) => {
    const world = await DoorWorld.start({ routes })
    const client = await world.connect('c', 5)
    client.publish(topic, 'value', 1, 1)
    await client.until('puback')
    const { outcome, stored } = explain(topic)
    expect(outcome).not.toBe('refused')
    const [record] = await world.records(stored?.kafkaTopic ?? '')
    expect(record).toEqual({
      key: stored?.key,
      value: 'value',
      headers: stored?.headers.map(([name, value]) => `${name}=${value}`),
    })
    const at = world.broker.partitions.get(stored?.kafkaTopic ?? '', stored?.partition ?? -1)
    expect(at?.highWatermark).toBe(1)
  })

  it.each([
    ['$SYS/broker/load', 'topics that begin with $ are not stored'],
    ['raw/x-y/z', 'another MQTT topic has the better claim to the Kafka topic x-y-z'],
    ['m__x/a', 'another MQTT topic has the better claim to the Kafka topic m__x'],
    ['a/+/b', 'it holds a wildcard: that is a filter, and no topic name'],
    ['a/\0', 'it holds U+0000'],
    ['', 'a topic name has at least one character'],
    ['x'.repeat(65_536), 'a topic name has at most 65,535 bytes'],
  ])('of %j, which is refused, says why', (topic, reason) => {
    const { outcome, stored, ...explanation } = explain(topic)
    expect({ outcome, stored, reason: explanation.reason }).toEqual({ outcome: 'refused', stored: null, reason })
  })

  it('names the rule, its captures, why those before it do not match, and those that are never asked', () => {
    expect(explain('plant/l1/pump/rpm')).toMatchObject({
      rule: 2,
      match: 'plant/{line}/{rest...}',
      captures: { line: 'l1', rest: 'pump/rpm' },
      passed: [{ rule: 1, match: 'plant/{line}/temp', reason: 'level 3 is "pump", not "temp"' }],
      shadowed: [3],
    })
    const { rule, isDefault, passed } = explain('plants/x')
    expect([rule, isDefault, passed.length]).toEqual([null, true, routes.length])
    expect(explain('raw/x').passed.at(-2)?.reason).toBe('it has 2 levels, the filter asks for more')
    expect(explain('raw/x/y/z').passed[3]?.reason).toBe('it has 4 levels, the filter ends after 3')
  })

  it('tells of what may come between', () => {
    const notes = (topic: string, more: Partial<RouteQuestion> = {}): string => explain(topic, more).notes.join('\n')
    expect(notes('plant/l1/x')).toMatch(/mqtt\.autoTopicsMax.*\n.*differs from it in \. and _ only/)
    expect(notes('plant/l1/temp')).not.toContain('the same key')
    expect(notes('raw/x/y')).toContain('without headers')
    expect(notes('other', { userName: 'press' })).toContain('User:press needs WRITE on Topic:other')
    const lossy = explainRoute(
      { ...rules, routes: [{ match: 'a/{x}/{y}', topic: 'a', key: '{y}' }] },
      {
        ...question,
        topic: 'a/b/c',
      },
    )
    expect(lossy.notes.join()).toContain('other MQTT topics may have the same key')
  })
})
