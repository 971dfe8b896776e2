/**
 * What is kept of MQTT sessions in their internal topic beside the packet ids of `packet-id-log.ts`. Keys and values are JSON, keys are lists:
 *
 *   ["session", client]             how long it is kept, whether it is connected, its will
 *   ["subscription", client, filter] one subscription
 *   ["positions", reader]           where a session ("c" + client) or a shared subscription ("g" + filter) is behind the common reader,
 *                                   and what it is done with above that
 *   ["outgoing", client, place]     the packet id of a QoS 2 message on its way to the client, and whether the client has it;
 *                                   the message, where it is not read from the log again
 *   ["tail", topic id, partition]   where the common reader is: up to there everybody who is not behind has been served
 */
import { partitionForKey } from '../../base/murmur2.ts'
import type { Broker } from '../../broker/broker.ts'
import type { TurnAppend } from '../../broker/turn-append.ts'
import { decodeProperties, encodeProperties } from '../../protocol/mqtt/properties.ts'
import { propertyListAt } from '../../protocol/mqtt/packet-columns.ts'
import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import { utf8Bytes } from '../../protocol/mqtt/utf8.ts'
import type { CarriedMessage } from './carried-message.ts'
import type { OutgoingId } from './outgoing-ids.ts'
import { mqttSessionsTopic } from './packet-id-log.ts'
import type { StoredPosition } from './reader-places.ts'
import type { SessionOwner } from './topic-rights.ts'
import type { Will } from './will-keeper.ts'

export interface StoredSession {
  /** Whose it is; null where that was not written. */
  readonly owner: SessionOwner | null
  readonly expiryMs: number
  /** Wall ms at which it ends; null = it is connected, or the time was not known. */
  readonly expiresAtMs: number | null
  readonly will: Will | null
  /** Wall ms at which the will is due; null = its client is connected, or the time was not known. */
  readonly willDueMs: number | null
}

export interface StoredSubscription {
  readonly qos: QualityOfService
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly subscriptionId: number
  /** Where it begins in partitions in which older messages were still to be handed over; left out where there were none. */
  readonly since?: readonly StoredPosition[] | undefined
  /** The debt of retained messages that have not all been sent and acknowledged; left out where nothing is owed. */
  readonly owed?: number | undefined
  /** Their topics, where a stop could tell. */
  readonly left?: readonly string[] | undefined
}

export interface StoredOutgoing extends OutgoingId {
  readonly carried?: CarriedMessage | undefined
  /** A retained message: for which debt it was sent, and of which topic. */
  readonly retained?: { readonly owed: number; readonly topic: string } | undefined
}

/** Everything that the topic says. */
export interface StoredState {
  readonly sessions: Map<string, StoredSession>
  readonly subscriptions: Map<string, Map<string, StoredSubscription>>
  readonly positions: Map<string, readonly StoredPosition[]>
  /** By client, then by the key of its place (`OutgoingPlace`). */
  readonly outgoing: Map<string, Map<string, StoredOutgoing>>
  /** By `tailKey`. */
  readonly tails: Map<string, number>
}

export function tailKey(topicId: string, partition: number): string {
  return `${topicId} ${partition}`
}

type Key = readonly [kind: string, name: string, detail?: string | number]

export class SessionLog {
  private readonly broker: Broker

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** Null takes it away. Answers the error's name, or null. */
  session(turn: TurnAppend, wallMs: number, clientId: string, stored: StoredSession | null): string | null {
    return this.append(turn, wallMs, ['session', clientId], stored === null ? null : sessionValue(stored))
  }

  subscription(
    turn: TurnAppend,
    wallMs: number,
    at: { readonly clientId: string; readonly filter: string },
    stored: StoredSubscription | null,
  ): string | null {
    return this.append(turn, wallMs, ['subscription', at.clientId, at.filter], stored)
  }

  positions(turn: TurnAppend, wallMs: number, reader: string, stored: readonly StoredPosition[] | null): string | null {
    return this.append(turn, wallMs, ['positions', reader], stored)
  }

  outgoing(
    turn: TurnAppend,
    wallMs: number,
    at: { readonly clientId: string; readonly place: string },
    id: StoredOutgoing | null,
  ): string | null {
    return this.append(turn, wallMs, ['outgoing', at.clientId, at.place], id)
  }

  tail(turn: TurnAppend, wallMs: number, { topicId, partition, offset }: StoredPosition): string | null {
    return this.append(turn, wallMs, ['tail', topicId, partition], offset)
  }

  private append(turn: TurnAppend, wallMs: number, key: Key, value: unknown): string | null {
    // All of one client or reader stays in one partition, whatever its records are about.
    const index = partitionForKey(utf8Bytes(key[1]), mqttSessionsTopic.partitions)
    const partition = this.broker.partitions.get(mqttSessionsTopic.name, index)
    if (partition === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
    const bytes = value === null ? null : utf8Bytes(JSON.stringify(value))
    return turn.append(partition, wallMs, utf8Bytes(JSON.stringify(key)), bytes, null)
  }
}

export function emptyState(): StoredState {
  return { sessions: new Map(), subscriptions: new Map(), positions: new Map(), outgoing: new Map(), tails: new Map() }
}

/** Takes one record of the topic into the state; what a newer version wrote, or another kind of record, is left alone. */
export function applyRecord(state: StoredState, keyBytes: Uint8Array, valueBytes: Uint8Array | null): void {
  if (keyBytes[0] !== 0x5b) return
  const key = parsed(keyBytes) as Key | undefined
  const value = valueBytes === null ? null : parsed(valueBytes)
  if (!Array.isArray(key) || value === undefined) return
  const [kind, name, detail] = key
  if (kind === 'session') put(state.sessions, name, value === null ? null : storedSession(value as SessionValue))
  else if (kind === 'positions') put(state.positions, name, value as readonly StoredPosition[] | null)
  else if (kind === 'tail') put(state.tails, tailKey(name, Number(detail)), value as number | null)
  else if (kind === 'subscription')
    putInner(state.subscriptions, name, String(detail), value as StoredSubscription | null)
  else if (kind === 'outgoing') putInner(state.outgoing, name, String(detail), value as StoredOutgoing | null)
}

function putInner<T>(maps: Map<string, Map<string, T>>, name: string, detail: string, value: T | null): void {
  let inner = maps.get(name)
  if (inner === undefined) {
    inner = new Map()
    maps.set(name, inner)
  }
  put(inner, detail, value)
  if (inner.size === 0) maps.delete(name)
}

function put<T>(map: Map<string, T>, name: string, value: T | null): void {
  if (value === null) map.delete(name)
  else map.set(name, value)
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}

interface SessionValue {
  readonly owner?: SessionOwner | null
  readonly expiryMs: number
  readonly expiresAtMs: number | null
  readonly willDueMs: number | null
  readonly will: {
    readonly topic: string
    readonly payload: string
    readonly qos: QualityOfService
    readonly retain: boolean
    readonly properties: string
    readonly clientId: string
    readonly userName: string | null
    readonly level: 3 | 4 | 5
  } | null
}

function sessionValue({ owner, expiryMs, expiresAtMs, will, willDueMs }: StoredSession): SessionValue {
  if (will === null) return { owner, expiryMs, expiresAtMs, will: null, willDueMs: null }
  const { topic, payload, qos, retain, properties } = will.message
  const message = { topic, qos, retain, payload: base64(payload), properties: base64(encodeProperties(properties)) }
  return { owner, expiryMs, expiresAtMs, willDueMs, will: { ...message, ...will.publisher } }
}

function storedSession(value: SessionValue): StoredSession {
  const { owner = null, expiryMs, expiresAtMs, willDueMs, will } = value
  if (will === null) return { owner, expiryMs, expiresAtMs, will: null, willDueMs: null }
  const { topic, qos, retain, clientId, userName, level } = will
  const bytes = Buffer.from(will.properties, 'base64')
  const list = propertyListAt(bytes, 0, bytes.length)
  const properties = decodeProperties(bytes, list.start, list.end, 'will')
  const message = { topic, payload: Buffer.from(will.payload, 'base64'), qos, retain, properties }
  // Its rights are found by who asks.
  const found = { message, publisher: { clientId, userName, level }, rights: () => null }
  return { owner, expiryMs, expiresAtMs, willDueMs, will: found }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}
