/** MQTT packets put together by hand, and a raw client that reads packets. */
import { strict as assert } from 'node:assert'
import { int16 } from './batch-bytes.ts'
import { RawClient } from './raw-client.ts'

export type Level = 4 | 5

export interface Packet {
  readonly type: number
  readonly flags: number
  readonly body: Buffer
}

/** Packet types by their number on the wire. */
export const types = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
} as const

/** A packet with a true remaining length. */
export function packet(firstByte: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([firstByte]), variable(body.length), body])
}

/** A variable byte integer. */
export function variable(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  do {
    const low = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest > 0 ? low | 128 : low)
  } while (rest > 0)
  return Buffer.from(bytes)
}

/** A string or binary field with its two bytes of length. */
export function field(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([int16((bytes.length << 16) >> 16), bytes])
}

/** A property list with its length, empty for 3.1.1. */
export function properties(level: Level, ...list: readonly Uint8Array[]): Buffer {
  if (level === 4) return Buffer.alloc(0)
  const bytes = Buffer.concat(list)
  return Buffer.concat([variable(bytes.length), bytes])
}

export interface ConnectLies {
  readonly protocol?: string
  readonly levelByte?: number
  readonly flags?: number
  readonly keepAlive?: number
  readonly properties?: readonly Uint8Array[]
  /** What stands behind the client id: will, user name, password. */
  readonly payload?: readonly Uint8Array[]
}

export function connectPacket(level: Level, clientId: string, lies: ConnectLies = {}): Buffer {
  return packet(
    0x10,
    field(lies.protocol ?? 'MQTT'),
    Buffer.from([lies.levelByte ?? level, lies.flags ?? 2]),
    int16(lies.keepAlive ?? 60),
    properties(level, ...(lies.properties ?? [])),
    field(clientId),
    ...(lies.payload ?? []),
  )
}

export interface PublishParts {
  readonly topic: string | Uint8Array
  readonly firstByte?: number
  readonly packetId?: number
  readonly properties?: readonly Uint8Array[]
  readonly payload?: Uint8Array
}

/** QoS 1 unless `firstByte` says otherwise. */
export function publishPacket(level: Level, parts: PublishParts): Buffer {
  const firstByte = parts.firstByte ?? 0x32
  const packetId = (firstByte & 6) === 0 ? Buffer.alloc(0) : int16(parts.packetId ?? 1)
  return packet(
    firstByte,
    field(parts.topic),
    packetId,
    properties(level, ...(parts.properties ?? [])),
    parts.payload ?? Buffer.from('x'),
  )
}

export function subscribePacket(level: Level, filter: string | Uint8Array, options: number, firstByte = 0x82): Buffer {
  return packet(firstByte, int16(1), properties(level), field(filter), Buffer.from([options]))
}

export class MqttTalk {
  readonly raw: RawClient
  readonly level: Level

  constructor(raw: RawClient, level: Level) {
    this.raw = raw
    this.level = level
  }

  /** Connects and waits for a CONNACK that grants. */
  static async connect(address: string, level: Level, clientId: string): Promise<MqttTalk> {
    const talk = new MqttTalk(await RawClient.connect(address), level)
    talk.raw.send(connectPacket(level, clientId))
    const answer = await talk.read()
    assert.deepEqual([answer.type, answer.body[1]], [types.connack, 0], 'a CONNACK that grants')
    return talk
  }

  async read(deadlineMs = 5_000): Promise<Packet> {
    const first = (await this.raw.take(1, deadlineMs))[0] as number
    let length = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = (await this.raw.take(1, deadlineMs))[0] as number
      length += (byte & 127) * scale
      if (byte < 128) break
    }
    return { type: first >>> 4, flags: first & 15, body: await this.raw.take(length, deadlineMs) }
  }

  /** What a connection ends with: in 5.0 the reason of DISCONNECT, in 3.1.1 nothing but the end. */
  async ended(deadlineMs = 5_000): Promise<number | null> {
    const last = await this.read(deadlineMs).catch((error: Error) => {
      if (!error.message.startsWith('closed by the daemon; 0 of 1 bytes')) throw error
      return null
    })
    await this.raw.closed(deadlineMs)
    if (last === null) return null
    assert.equal(last.type, types.disconnect, 'the last packet is DISCONNECT')
    return last.body[0] ?? 0
  }

  close(): void {
    this.raw.destroy()
  }
}
