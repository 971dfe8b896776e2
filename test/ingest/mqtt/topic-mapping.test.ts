import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeLevel, finishTopicName, isLegalTopicName } from '../../../src/ingest/mqtt/kafka-topic-name.ts'
import { type RoutePlan, TopicMapping, type TopicRoute } from '../../../src/ingest/mqtt/topic-mapping.ts'

const levels = fc.oneof(
  fc.constantFrom('', 'a', 'b', '.', '-', '-x2E', 'a-b', 'a.b', '__x', 'm__x', 'x', '_', 'Grüße', '-x2Dx2E', '温'),
  fc.string({ maxLength: 6 }).filter((text) => !/[/+#\0]/.test(text)),
)
const topics = fc.array(levels, { minLength: 1, maxLength: 5 }).map((list) => list.join('/'))

function place(plan: RoutePlan): string {
  return plan.kind === 'routed' ? `${plan.kafkaTopic} key=${plan.key} by=${plan.partitionBy}` : plan.kind
}

describe('Kafka topic names', () => {
  it.each([
    ['sensors', 'sensors'],
    ['plant-7_A', 'plant-7_A'],
    ['a.b', 'a-x2Eb'],
    ['a b', 'a-x20b'],
    ['ü', '-xC3-xBC'],
    ['a-x2Eb', 'a-x2Dx2Eb'],
  ])('of the level %s is %s', (level, name) => {
    expect(encodeLevel(level)).toBe(name)
  })

  it('are legal, and equal only for equal levels', () => {
    fc.assert(
      fc.property(levels, levels, (left, right) => {
        const [first, second] = [encodeLevel(left), encodeLevel(right)]
        if (first !== '') expect(/^[A-Za-z0-9_-]+$/.test(first)).toBe(true)
        expect(first === second).toBe(left === right)
      }),
      { numRuns: 5000 },
    )
  })

  it('keep 208 characters and a hash when they are too long', () => {
    const name = finishTopicName('x'.repeat(300)) as string
    expect(name).toHaveLength(249)
    expect(isLegalTopicName(name)).toBe(true)
    expect(name).not.toBe(finishTopicName('x'.repeat(301)))
    expect(finishTopicName('x'.repeat(249))).toBe('x'.repeat(249))
  })
})

describe('the mapping', () => {
  it.each([
    ['sensors/s1/d7/temp', 'sensors key=null by=null'],
    ['sensors', 'sensors key=null by=null'],
    ['a.b/c', 'a-x2Eb key=null by=null'],
    ['__consumer_offsets/x', 'm__consumer_offsets key=null by=null'],
    ['m__consumer_offsets/x', 'refused'],
    ['/a', 'unrouted'],
    ['$SYS/broker', 'refused'],
    ['$share/g/a', 'refused'],
  ])('without rules sends %s to %s', (topic, expected) => {
    expect(place(new TopicMapping([]).plan(topic))).toBe(expected)
  })

  const routes: readonly TopicRoute[] = [
    { match: 'sensors/{site}/{device}/#', topic: 'sensors', partitionBy: '{site}/{device}' },
    { match: 'spBv1.0/{group}/{type}/{edge}/#', topic: 'sparkplug', partitionBy: '{group}/{edge}' },
    { match: 'by-site/{site}/{rest...}', topic: 'site-{site}', key: '{rest}', headers: 'full' },
    { match: 'raw/{path...}', topic: 'raw.{path}' },
    { match: 'exact/+', topic: 'exact', key: '{mqtt.topic}', partitionBy: '{mqtt.topic}' },
  ]

  it.each([
    ['sensors/s1/d7/temp', 'sensors key=null by=s1/d7'],
    ['sensors/s1/d7', 'sensors key=null by=s1/d7'],
    ['sensors/s1', 'sensors key=null by=null'],
    ['spBv1.0/g/NDATA/e1/d', 'sparkplug key=null by=g/e1'],
    ['by-site/north/pump/1', 'site-north key=pump/1 by=pump/1'],
    ['by-site/north', 'by-site key=null by=null'],
    ['raw/a/b', 'raw.a.b key=null by=null'],
    ['raw/a.b', 'raw.a-x2Eb key=null by=null'],
    ['exact/1', 'exact key=null by=null'],
    ['exact/1/2', 'exact key=null by=null'],
    ['other/1', 'other key=null by=null'],
  ])('with rules sends %s to %s', (topic, expected) => {
    expect(place(new TopicMapping(routes).plan(topic))).toBe(expected)
  })

  it('never lets two different captures share a Kafka topic, whoever comes first', () => {
    const templates = ['{a}-{b}', '{a}.{b}', '{a}{b}', 't.{b}-{a}', '{a}-x2E{b}', '{a}']
    fc.assert(
      fc.property(fc.constantFrom(...templates), topics, topics, (template, left, right) => {
        const mapping = new TopicMapping([{ match: '{a}/{b...}', topic: template }])
        const capturesOf = (topic: string): readonly string[] => {
          const [first = '', ...rest] = topic.split('/')
          return template.includes('{b}') ? [first, rest.join('/')] : [first]
        }
        const [first, second] = [mapping.plan(left), mapping.plan(right)]
        if (!left.includes('/') || !right.includes('/')) return
        if (first.kind !== 'routed' || second.kind !== 'routed') return
        expect(isLegalTopicName(first.kafkaTopic)).toBe(true)
        expect(first.kafkaTopic.startsWith('__')).toBe(false)
        if (first.kafkaTopic === second.kafkaTopic) expect(capturesOf(left)).toEqual(capturesOf(right))
      }),
      { numRuns: 5000 },
    )
  })

  it('gives the name of an ambiguous pair to one of them only', () => {
    const mapping = new TopicMapping([{ match: '{a}/{b}', topic: '{a}-{b}' }])
    expect([place(mapping.plan('x/y-z')), place(mapping.plan('x-y/z'))]).toEqual(['x-y-z key=null by=null', 'refused'])
  })

  it.each<[TopicRoute, RegExp]>([
    [{ match: '', topic: 'a' }, /empty/],
    [{ match: 'a/#/b', topic: 'a' }, /# must be the last level/],
    [{ match: 'a/{x...}/b', topic: 'a' }, /must be the last level/],
    [{ match: 'a/b+', topic: 'a' }, /mixes text/],
    [{ match: 'a/{x}y', topic: 'a' }, /mixes text/],
    [{ match: '{x}/{x}', topic: 'a' }, /twice/],
    [{ match: '$SYS/#', topic: 'a' }, /\$/],
    [{ match: 'a/{x}', topic: '{y}' }, /does not capture/],
    [{ match: 'a/{x}', topic: 'a b' }, /no legal Kafka topic name/],
    [{ match: 'a/{x}', topic: '__{x}' }, /internal/],
    [{ match: 'a/{x}', topic: 'a', key: '{' }, /brace/],
    [{ match: 'a/{x}', topic: '{mqtt.topic}' }, /does not capture/],
  ])('refuses the rule %o', (route, reason) => {
    expect(() => new TopicMapping([route])).toThrow(reason)
  })
})
