/** When a message of Sparkplug is decoded: in the turn in which it comes, or a slice a turn. */
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { describe, expect, it } from 'vitest'
import { DoorCounters } from '../../../src/ingest/mqtt/door-counters.ts'
import { RetainedStore } from '../../../src/ingest/mqtt/retained-store.ts'
import { sparkplugSourceOf } from '../../../src/ingest/mqtt/sparkplug.ts'
import {
  type Decoding,
  decodedPlace,
  type DecodingSlot,
  SparkplugDecoder,
} from '../../../src/ingest/mqtt/sparkplug-decoder.ts'
import type { Partition } from '../../../src/cluster/partition/partition.ts'
import { sparkplugCodec } from '../../../src/protocol/sparkplug/payload-codec.ts'
import { simWorld } from '../../sim/world.ts'

function payloadOf(count: number): Uint8Array {
  const writer = new BinaryWriter()
  for (let index = 0; index < count; index += 1) {
    writer
      .tag(2, 2)
      .fork()
      .tag(1, 2)
      .string(`metric ${index}`)
      .tag(2, 0)
      .uint64(BigInt(index))
      .tag(10, 0)
      .uint32(index)
      .join()
  }
  return writer.finish()
}

const data = new BinaryWriter().tag(2, 2).fork().tag(2, 0).uint64(1n).tag(10, 0).uint32(5).join().finish()
const json = ({ json: bytes }: Decoding): string => Buffer.from(bytes ?? []).toString()

function open() {
  const world = simWorld(1)
  const { clock, observer } = world.host('edge').boot()
  const retained = new RetainedStore()
  const options = { codec: sparkplugCodec, clock, observer, counters: new DoorCounters(), retained }
  const decoder = new SparkplugDecoder({ ...options, payloadBytesMax: 262_144 })
  const slot: DecodingSlot = { pending: null }
  // Nothing is appended here.
  const partition = {} as Partition
  const decode = (topic: string, payload: Uint8Array) => {
    const source = sparkplugSourceOf(topic)
    if (source === null) throw new Error(topic)
    return decoder.decode(decodedPlace(topic, source, partition), payload, slot)
  }
  const certify = (topic: string, payload: Uint8Array): void =>
    retained.set(topic, { topic: Buffer.from(topic), payload, headers: new Uint8Array(1), expiresMs: null })
  return { world, decode, certify }
}

describe('a message is decoded', () => {
  it('at once when it is small, and its birth is at hand or small', () => {
    const { decode, certify } = open()
    certify('$sparkplug/certificates/spBv1.0/g/NBIRTH/e', payloadOf(100))
    const decoded = decode('spBv1.0/g/NDATA/e', data)
    if (typeof decoded === 'function') throw new Error('it is to be waited for')
    expect(json(decoded)).toContain('{"name":"metric 1","alias":1,"value":5}')
  })

  it('a slice a turn when it is large, and answered when it is asked for again', async () => {
    const { world, decode } = open()
    const large = payloadOf(4000)
    const waiting = decode('spBv1.0/g/NBIRTH/e', large)
    if (typeof waiting !== 'function') throw new Error('it took one turn')
    let turns = 0
    let isDone = false
    waiting(() => {
      isDone = true
    })
    expect(typeof decode('spBv1.0/g/NBIRTH/e', large)).toBe('function')
    for (; !isDone && turns < 1000; turns += 1) await world.runFor(1)
    expect(turns).toBeGreaterThan(10)
    const decoded = decode('spBv1.0/g/NBIRTH/e', Uint8Array.from(large))
    if (typeof decoded === 'function') throw new Error('it is to be waited for once more')
    expect(decoded.outcome).toBe('decoded')
    // The slot is free again.
    expect(typeof decode('spBv1.0/g/NBIRTH/e', large)).toBe('function')
  })

  it('a slice a turn when its birth has to be read again and is large', async () => {
    const { world, decode, certify } = open()
    certify('$sparkplug/certificates/spBv1.0/g/NBIRTH/e', payloadOf(4000))
    for (const topic of ['spBv1.0/g/NDATA/e', 'spBv1.0/g/DDATA/e/d']) {
      expect(typeof decode(topic, data), topic).toBe(topic.includes('NDATA') ? 'function' : 'object')
      await world.runFor(100)
      const decoded = decode(topic, data)
      expect(typeof decoded, topic).toBe('object')
    }
  })

  it('anew when another message has taken its place', async () => {
    const { world, decode } = open()
    const [one, two] = [payloadOf(3000), payloadOf(3001)]
    expect(typeof decode('spBv1.0/g/NDATA/e', one)).toBe('function')
    await world.runFor(500)
    expect(typeof decode('spBv1.0/g/NDATA/e', two)).toBe('function')
    await world.runFor(500)
    const decoded = decode('spBv1.0/g/NDATA/e', two)
    expect(typeof decoded === 'object' && json(decoded)).toContain('"name":"metric 3000"')
  })
})
