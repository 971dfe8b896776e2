import { describe, expect, test } from 'vitest'
import { TopicPolicy } from '../../src/mirror/topic-policy.ts'

function policy(topics: readonly string[], targetTopic = '{site}.{topic}', site = 'plant-7'): TopicPolicy {
  return new TopicPolicy({ name: 'central', topics, targetTopic, site, nodeId: 3 })
}

describe('topic policy', () => {
  test('patterns are anchored at both ends, alternatives included', () => {
    const p = policy(['sensors', 'plc\\..*', 'a|b'])
    const verdicts = ['sensors', 'sensors2', 'my-sensors', 'plc.x', 'plcx', 'a', 'ab', 'b'].map(
      (topic) => `${topic} ${p.verdict(topic, false).kind}`,
    )
    expect(verdicts).toEqual([
      'sensors mirrored',
      'sensors2 ignored',
      'my-sensors ignored',
      'plc.x mirrored',
      'plcx ignored',
      'a mirrored',
      'ab ignored',
      'b mirrored',
    ])
  })

  test('internal topics are never mirrored, whatever the pattern says', () => {
    expect(policy(['.*']).verdict('__consumer_offsets', true)).toEqual({ kind: 'ignored' })
    expect(policy(['.*']).verdict('__headwater_mirror', false)).toEqual({ kind: 'ignored' })
  })

  test('the audit is mirrored when it is named letter for letter, and by no pattern', () => {
    const target = { kind: 'mirrored', targetTopic: 'plant-7.__headwater_audit' }
    expect(policy(['sensors', '__headwater_audit']).verdict('__headwater_audit', true)).toEqual(target)
    for (const pattern of ['.*', '__headwater_.*', '__headwater_audi[t]']) {
      expect(policy([pattern]).verdict('__headwater_audit', true)).toEqual({ kind: 'ignored' })
    }
    expect(policy(['__headwater_audit']).verdict('__headwater_mirror', true)).toEqual({ kind: 'ignored' })
    expect(policy(['__headwater_audit'], '{topic}').verdict('__headwater_audit', true).kind).toBe('parked')
  })

  test('the name at the target comes from the template', () => {
    expect(policy(['.*']).verdict('t', false)).toEqual({ kind: 'mirrored', targetTopic: 'plant-7.t' })
    expect(policy(['.*'], '{topic}').verdict('t', false)).toEqual({ kind: 'mirrored', targetTopic: 't' })
    expect(policy(['.*'], 'edge_{node}_{site}_{topic}_v1').verdict('t', false)).toEqual({
      kind: 'mirrored',
      targetTopic: 'edge_3_plant-7_t_v1',
    })
  })

  test('a topic that carries our prefix is not sent back, however many sites stand before it', () => {
    const p = policy(['.*'])
    expect(p.verdict('plant-7.t', false).kind).toBe('loop')
    expect(p.verdict('hub.plant-7.t', false).kind).toBe('loop')
    expect(p.verdict('plant-70.t', false).kind).toBe('mirrored')
    expect(policy(['.*'], '{topic}.{site}').verdict('t.plant-7.hub', false).kind).toBe('loop')
    expect(policy(['.*'], '{topic}').verdict('t', false).kind).toBe('mirrored')
  })

  test('a target name that Kafka refuses parks the topic with the reason', () => {
    const long = policy(['.*']).verdict('x'.repeat(245), false)
    expect(long).toMatchObject({ kind: 'parked', reason: expect.stringContaining('253 characters') })
    const wrong = policy(['.*'], 'a/{topic}').verdict('t', false)
    expect(wrong).toMatchObject({ kind: 'parked', reason: expect.stringContaining('"/" is not allowed') })
    expect(policy(['.*'], '__{topic}').verdict('t', false)).toMatchObject({ kind: 'parked' })
  })

  test('a wrong pattern or template is refused when the mirror is built', () => {
    expect(() => policy(['('])).toThrow(/topic pattern "\("/)
    expect(() => policy(['a'.repeat(513)])).toThrow(/longer than 512/)
    for (const template of ['{site}', '{topic}{topic}', '{topic}.{zone}', '']) {
      expect(() => policy(['a'], template)).toThrow(/template/)
    }
  })
})
