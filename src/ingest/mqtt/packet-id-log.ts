/**
 * The internal topic that remembers QoS 2 packet ids: one record when a message is taken (in the same set as the message), an empty one when the
 * client released it. Key: version 1, kind 1, packet id (two bytes), client id (UTF-8). Value: version 1, wall ms (eight bytes), fingerprint of the
 * message (four bytes).
 */
import type { InternalTopicDefinition } from '../../base/internal-topic-def.ts'
import { partitionForKey } from '../../base/murmur2.ts'
import type { Broker } from '../../broker/broker.ts'
import type { TurnAppend } from '../../broker/turn-append.ts'
import { inspectUtf8, utf8Bytes, utf8Malformed, utf8Text } from '../../protocol/mqtt/utf8.ts'
import { type ReplayOutcome, replayTopic } from './state-replay.ts'

/** Sessions of MQTT clients: their QoS 2 packet ids here, everything else in `session-log.ts`. */
export const mqttSessionsTopic: InternalTopicDefinition = {
  name: '__headwater_mqtt_sessions',
  partitions: 4,
  configs: { 'cleanup.policy': 'compact', 'segment.bytes': '16777216' },
  readable: false,
  holds:
    'Sessions of MQTT clients: how long they are kept, wills, subscriptions and the retained messages that they are owed, where they are in the log, packet ids of QoS 2 messages, and of those on their way some with their content.',
}

const recordVersion = 1
const packetIdKind = 1
const keyHeaderBytes = 4
/** Ids that are kept from before a restart, about 100 bytes each. */
const carriedIdsMax = 100_000

/** The key of one (client, packet id). */
export function packetIdKey(clientId: string, packetId: number): Uint8Array {
  const client = utf8Bytes(clientId)
  const key = new Uint8Array(keyHeaderBytes + client.length)
  key[0] = recordVersion
  key[1] = packetIdKind
  key[2] = packetId >>> 8
  key[3] = packetId
  key.set(client, keyHeaderBytes)
  return key
}

/** Client and packet id of a key, or null when a newer version or another kind of record wrote it. */
export function readPacketIdKey(key: Uint8Array): { readonly clientId: string; readonly packetId: number } | null {
  if (key.length <= keyHeaderBytes || key[0] !== recordVersion || key[1] !== packetIdKind) return null
  if ((inspectUtf8(key, keyHeaderBytes, key.length) & utf8Malformed) !== 0) return null
  return {
    clientId: utf8Text(key, keyHeaderBytes, key.length),
    packetId: ((key[2] as number) << 8) | (key[3] as number),
  }
}

/** A message that was taken under an id. */
export interface ReceivedId {
  readonly packetId: number
  readonly wallMs: number
  /** CRC-32C of topic and payload: tells a repetition from another message under the same id. */
  readonly fingerprint: number
}

const valueBytes = 13

function packetIdValue({ wallMs, fingerprint }: ReceivedId): Uint8Array {
  const value = new Uint8Array(valueBytes)
  const view = new DataView(value.buffer)
  value[0] = recordVersion
  view.setBigInt64(1, BigInt(Math.floor(wallMs)))
  view.setUint32(9, fingerprint)
  return value
}

/** The fingerprint, or -1 (no message has it) when something else wrote the value. */
function readFingerprint(value: Uint8Array): number {
  if (value.length !== valueBytes || value[0] !== recordVersion) return -1
  return new DataView(value.buffer, value.byteOffset).getUint32(9)
}

/** Appends to and reads back the topic. */
export class PacketIdLog {
  private readonly broker: Broker
  /** Ids that were not released before this run of the daemon, with the fingerprints of their messages, by client. */
  private readonly carried = new Map<string, Map<number, number>>()
  private carriedCount = 0

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** Ids that were open when the topic was read back. */
  get openCount(): number {
    return this.carriedCount
  }

  /** Makes sure of the topic and reads it back; `other` gets the records that are not of packet ids. */
  async open(readBytes: number, other: (key: Uint8Array, value: Uint8Array | null) => void): Promise<ReplayOutcome> {
    await this.broker.ensureInternalTopic(mqttSessionsTopic)
    return replayTopic(this.broker, mqttSessionsTopic, readBytes, ({ key, value }) => {
      if (key === null) return
      const id = readPacketIdKey(key)
      if (id === null) other(key, value)
      else this.apply(id.clientId, id.packetId, value)
    })
  }

  private apply(clientId: string, packetId: number, value: Uint8Array | null): void {
    let ids = this.carried.get(clientId)
    if (value === null) {
      if (ids?.delete(packetId)) this.carriedCount -= 1
      if (ids?.size === 0) this.carried.delete(clientId)
      return
    }
    if (ids === undefined) {
      ids = new Map()
      this.carried.set(clientId, ids)
    }
    if (!ids.has(packetId)) {
      if (this.carriedCount >= carriedIdsMax) return
      this.carriedCount += 1
    }
    ids.set(packetId, readFingerprint(value))
  }

  /** The ids a client left open before this run; they are handed out once. */
  takeCarried(clientId: string): ReadonlyMap<number, number> {
    const ids = this.carried.get(clientId) ?? noIds
    this.carried.delete(clientId)
    this.carriedCount -= ids.size
    return ids
  }

  /** Appends "taken" to the turn's set. Answers the error's name, or null. */
  appendReceived(turn: TurnAppend, clientId: string, id: ReceivedId): string | null {
    return this.append(turn, packetIdKey(clientId, id.packetId), packetIdValue(id), id.wallMs)
  }

  /** Appends "released" to the turn's set. */
  appendReleased(turn: TurnAppend, clientId: string, packetId: number, wallMs: number): string | null {
    return this.append(turn, packetIdKey(clientId, packetId), null, wallMs)
  }

  private append(turn: TurnAppend, key: Uint8Array, value: Uint8Array | null, wallMs: number): string | null {
    // One client's ids stay in one partition, whatever their number: the hash leaves out the id.
    const index = partitionForKey(key.subarray(keyHeaderBytes), mqttSessionsTopic.partitions)
    const partition = this.broker.partitions.get(mqttSessionsTopic.name, index)
    return partition === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : turn.append(partition, wallMs, key, value, null)
  }
}

const noIds: ReadonlyMap<number, number> = new Map()
