import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KafkaDoor } from '../../../src/ingest/kafka/door.ts'
import { kafkaDoorDefaults } from '../../../src/ingest/kafka/door-options.ts'
import type { HandlerEntry } from '../../../src/ingest/kafka/handler.ts'
import { kafkaApis } from '../../../src/protocol/kafka/apis.ts'
import { simWorld } from '../../sim/world.ts'
import { frame, heartbeatBody, noFeatures, RawClient } from './door-harness.ts'

/** Every API has a handler that answers with nothing but defaults. */
const handlers: readonly HandlerEntry[] = kafkaApis.map(({ key }) => [key, () => ({})] as const)

/** Valid frames, cut, flipped, repeated and mixed with noise: what a broken or hostile client sends. */
const piece = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc
    .record({
      key: fc.constantFrom(...kafkaApis.map(({ key }) => key)),
      version: fc.integer({ min: -1, max: 20 }),
      correlation: fc.integer(),
      body: fc.uint8Array({ maxLength: 200 }),
    })
    .map(({ key, version, correlation, body }) => frame(key, version, correlation, body)),
  fc.record({ length: fc.integer(), body: fc.uint8Array({ maxLength: 100 }) }).map(({ length, body }) => {
    const bytes = Buffer.alloc(4 + body.length)
    bytes.writeInt32BE(length)
    bytes.set(body, 4)
    return bytes
  }),
)

test('no bytes stop the door, fail a handler, or hold memory when they are gone', async () => {
  const world = simWorld(5)
  const ports = world.host('broker').boot()
  const client = world.host('client').boot()
  const door = new KafkaDoor({
    ...ports,
    handlers: new Map(handlers),
    options: { ...kafkaDoorDefaults, requestBytesMax: 100_000, features: () => noFeatures },
  })
  await world.settle(door.listen({ host: '0.0.0.0', port: 9092 }))
  const connect = async (): Promise<RawClient> =>
    new RawClient(await world.settle(client.net.connect({ host: 'broker', port: 9092 }, 5_000)))
  const { observer } = world.host('broker')
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 12 }), async (pieces) => {
      const attacker = await connect()
      attacker.send(...pieces)
      await world.runFor(20)
      attacker.connection.destroy()
      await world.run(() => door.connectionCount === 0, 60_000)
      const honest = await connect()
      honest.send(frame(12, 0, 1, heartbeatBody('x')))
      await world.run(() => honest.frames.length === 1)
      honest.connection.destroy()
      await world.run(() => door.connectionCount === 0, 60_000)
      door.refreshGauges()
      expect(observer.figure('headwater_kafka_request_memory_bytes')).toBe(0)
      expect(observer.figure('headwater_kafka_response_memory_bytes')).toBe(0)
    }),
    { numRuns: 400 },
  )
  expect(observer.eventsOf('kafka-request-failed').map(({ fields }) => fields)).toEqual([])
}, 60_000)
