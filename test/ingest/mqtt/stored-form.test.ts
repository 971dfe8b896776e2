/** In which form publishes are stored where a topic's settings ask for something. */
import { describe, expect, it } from 'vitest'
import { batchCodec } from '../../../src/protocol/records/record-batch.ts'
import { DoorWorld } from './door-world.ts'

describe('a publish', () => {
  it('into a compacted topic gets the MQTT topic as its key; one whose rule gives no key is refused and told', async () => {
    const routes = [
      { match: 'bare/{device}/#', topic: 'bare', key: '{device}', partitionBy: '{mqtt.topic}', headers: 'minimal' },
    ] as const
    const world = await DoorWorld.start({ routes, failurePauseMs: 1000 })
    for (const topic of ['a', 'bare']) await world.settle(world.broker.ensureTopic(topic))
    const compact = (...policies: readonly ('compact' | 'delete')[]): void => {
      for (const { log } of world.broker.partitions.values())
        if (!log.topic.startsWith('__')) log.updateConfig({ ...log.config, cleanupPolicy: new Set(policies) })
    }
    compact('compact')
    const client = await world.connect('m', 5)
    client.publish('a/x', 'keyed', 1, 1)
    client.publish('bare/d7/x', 'keyed', 1, 2)
    client.publish('bare//x', 'lost', 0)
    client.publish('bare//x', 'one', 1, 3)
    client.publish('bare//x', 'two', 2, 4)
    await client.until('pubrec#4 0x90')
    expect(client.heard.join(', ')).toBe('connack 0, puback#1, puback#2, puback#3 0x90, pubrec#4 0x90')
    expect((await world.records('a')).map(({ key }) => key)).toEqual(['a/x'])
    expect((await world.records('bare')).map(({ key }) => key)).toEqual(['d7'])
    expect(world.host.observer.eventsOf('mqtt-topic-refused')).toMatchObject([{ fields: { topic: 'bare//x' } }])
    // Where nothing is compacted such a record is taken, without a key.
    compact('delete')
    await world.runFor(31_000)
    client.publish('bare//x', 'taken', 1, 5)
    await client.until('puback#5')
    expect(client.heard.at(-1)).toBe('puback#5')
    expect((await world.records('bare')).map(({ key }) => key)).toContain('null')
    // Compacted again, with the route known: never into the topic, also the first one.
    compact('compact')
    client.publish('bare//x', 'late', 1, 6)
    await client.until('puback#6 0x90')
    expect((await world.records('bare')).filter(({ value }) => value === 'late')).toEqual([])
  })

  it('stores what it receives while the time is not known uncompressed, so that a mirror finds the marks', async () => {
    const world = await DoorWorld.start()
    await world.settle(world.broker.ensureTopic('sensors'))
    const client = await world.connect('sensor-7')
    const codecs: (string | null)[] = []
    for (const { log } of world.broker.partitions.values())
      if (log.topic === 'sensors') log.updateConfig({ ...log.config, compressionType: 'gzip' })
    for (const [index, isTrusted] of [false, true].entries()) {
      world.host.wallTrusted = isTrusted
      client.publish('sensors/a', 'x'.repeat(500), 1, index + 1)
      await client.until(`puback#${index + 1}`)
      const partition = world.broker.partitions.get('sensors', 0)
      if (partition === undefined) throw new Error('not served')
      const read = await world.settle(world.broker.readTailCold(partition, index, 1))
      if (read.kind === 'batches') codecs.push(batchCodec(read.bytes))
    }
    expect(codecs).toEqual(['none', 'gzip'])
  })
})
