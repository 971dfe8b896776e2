/** A door with a command route, and what a Kafka client would produce into it. */
import type { IPublishPacket } from 'mqtt-packet'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { encodeHeaders } from '../../../src/protocol/records/record.ts'
import type { CommandRoute } from '../../../src/ingest/mqtt/command-route.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

export const pumps: CommandRoute = {
  name: 'pumps',
  kafkaTopic: 'commands',
  mqttTopic: 'pump/{key}/set',
  qos: 1,
  messageExpiryMs: 3_600_000,
  unmatched: 'wait',
  correlationData: 'mqtt.correlation',
  responseTopic: 'mqtt.response-topic',
  contentType: 'content-type',
  userProperties: true,
}

export const pumpsGroup = 'headwater-mqtt-pumps'

export interface CommandWorldOptions {
  readonly route?: Partial<CommandRoute>
  readonly door?: NonNullable<Parameters<typeof DoorWorld.start>[0]>
  readonly authorizer?: Parameters<typeof DoorWorld.start>[3]
}

/** A world whose Kafka topic `commands` has two partitions and is routed. */
export async function commandWorld({ route, door, authorizer }: CommandWorldOptions = {}): Promise<DoorWorld> {
  const commandRoutes = [{ ...pumps, ...route }]
  const world = await DoorWorld.start({ commandRoutes, ...door }, 1, {}, authorizer)
  await world.settle(world.broker.ensureTopic('commands'))
  await world.runFor(1500)
  return world
}

export function command(
  world: DoorWorld,
  key: string | null,
  value: string,
  {
    headers = {},
    partition = 0,
    ageMs = 0,
  }: { headers?: Record<string, string>; partition?: number; ageMs?: number } = {},
): void {
  const builder = new RecordBatchBuilder()
  const list = Object.entries(headers).map(([name, text]) => ({ key: name, value: Buffer.from(text) }))
  const timestampMs = world.broker.clock.wallMs() - ageMs
  const section = list.length === 0 ? null : encodeHeaders(list)
  builder.append(timestampMs, key === null ? null : Buffer.from(key), Buffer.from(value), section)
  world.produce('commands', partition, builder.build())
}

/** Properties of the last message that a client has heard. */
export function propertiesOf(client: TestClient): IPublishPacket['properties'] {
  return client.packets.findLast((packet) => packet.cmd === 'publish')?.properties
}

/** Acknowledges until `count` messages have come, and a little longer; answers their values. */
export async function take(world: DoorWorld, client: TestClient, count: number): Promise<string[]> {
  const found: string[] = []
  let rest = 20
  for (let round = 0; round < 4000 && rest > 0; round += 1) {
    for (const packet of client.packets.splice(0)) {
      if (packet.cmd !== 'publish') continue
      found.push(String(packet.payload))
      if (packet.qos === 1) client.puback(packet.messageId ?? 0)
    }
    if (found.length >= count) rest -= 1
    await world.runFor(5)
  }
  return found
}
