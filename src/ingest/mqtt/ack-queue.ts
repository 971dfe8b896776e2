/**
 * The acknowledgements that one connection owes its client, in arrival order [MQTT-4.6.0-2], as columns in a ring: packet id, type, reason. Slots
 * belong to groups; a group is what settles together (the messages of one loop turn). Only the settled front leaves, in one buffer. Pure.
 */
import { LateMap } from '../../base/late-map.ts'
import { acknowledgementBytes, acknowledgementBytesMax, writeAcknowledgement } from '../../protocol/mqtt/encode.ts'
import { packetTypes } from '../../protocol/mqtt/packet-types.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'

/** Slots that settle together. Created by `AckQueue`. */
export class AckGroup {
  /** Sequence number after the group's last slot. */
  end: number
  /** Bytes of messages that wait for the commit. */
  bytes = 0
  isSettled = false
  /** What slots without an answer of their own say once the group is settled. */
  reason: number = reasonCodes.success
  /** Opened after it. */
  next: AckGroup | null = null

  constructor(end: number) {
    this.end = end
  }
}

/** A connection whose messages are in a batch. */
export interface Committer {
  /** A group of its acknowledgements has settled. */
  onCommitSettled(group: AckGroup): void
}

/** The slot's answer is that of its group. */
const asTheGroup = 0xff
const initialCapacity = 16
const noIds = new Uint16Array(0)
const noBytes = new Uint8Array(0)
/** Refusals of one client that say why while they wait for their turn; further ones are told the code alone. */
const explainedMax = 64
/** A client has at most 65,535 packet ids, and each can be acknowledged by PUBACK or PUBREC and PUBCOMP. */
const capacityMax = 262_144

export class AckQueue {
  // A client that only subscribes never needs them.
  private ids = noIds
  private types = noBytes
  private reasons = noBytes
  private head = 0
  private tail = 0
  // A chain: mostly there is one group a turn, and no list is made of it.
  private firstGroup: AckGroup | null = null
  private lastGroup: AckGroup | null = null
  private pubacks = 0
  /** Whole packets of refusals that say why, by sequence number. Bound: `explainedMax`. */
  private readonly explained = new LateMap<number, Uint8Array>()

  /** Acknowledgements owed. */
  get length(): number {
    return this.tail - this.head
  }

  /** QoS 1 messages that are not acknowledged yet. */
  get pubackCount(): number {
    return this.pubacks
  }

  /** True when no more may be owed: the client sent more than its packet ids allow. */
  get isFull(): boolean {
    return this.length >= capacityMax
  }

  /** A group at the end of the queue; later slots belong to it until the next one is opened. */
  openGroup(): AckGroup {
    const group = new AckGroup(this.tail)
    if (this.lastGroup === null) this.firstGroup = group
    else this.lastGroup.next = group
    this.lastGroup = group
    return group
  }

  /** Owes an acknowledgement that the group's settlement decides. The group must be the last one opened. */
  pushWaiting(group: AckGroup, type: number, packetId: number): void {
    this.push(type, packetId, asTheGroup)
    group.end = this.tail
  }

  /** Owes an acknowledgement whose answer is known; it only waits for its turn. `packet`: the same with a reason string, for 5.0. */
  pushDecided(type: number, packetId: number, reason: number, packet: Uint8Array | null = null): void {
    if (packet !== null && this.explained.size < explainedMax) this.explained.set(this.tail, packet)
    this.push(type, packetId, reason)
    let last = this.lastGroup
    if (last === null) {
      last = this.openGroup()
      last.isSettled = true
    }
    last.end = this.tail
  }

  private push(type: number, packetId: number, reason: number): void {
    if (this.length === this.ids.length) this.grow()
    const slot = this.tail & (this.ids.length - 1)
    this.ids[slot] = packetId
    this.types[slot] = type
    this.reasons[slot] = reason
    this.tail += 1
    if (type === packetTypes.puback) this.pubacks += 1
  }

  private grow(): void {
    const mask = this.ids.length - 1
    const size = Math.max(initialCapacity, this.ids.length * 2)
    const grown = { ids: new Uint16Array(size), types: new Uint8Array(size), reasons: new Uint8Array(size) }
    for (let sequence = this.head; sequence < this.tail; sequence += 1) {
      const from = sequence & mask
      const to = sequence & (size - 1)
      grown.ids[to] = this.ids[from] as number
      grown.types[to] = this.types[from] as number
      grown.reasons[to] = this.reasons[from] as number
    }
    this.ids = grown.ids
    this.types = grown.types
    this.reasons = grown.reasons
  }

  /**
   * The bytes of the settled front and how many acknowledgements they are, or null when nothing may leave. A failure that the version cannot say is `withheld`: `release` stops in
   * front of it for good.
   */
  release(level: number): { readonly bytes: Uint8Array | null; readonly count: number; readonly withheld: number } {
    const end = this.settledEnd()
    const from = this.head
    if (end === this.head) {
      // Of QoS 0 messages: nothing is owed for them.
      while (this.firstGroup?.isSettled === true) this.shiftGroup()
      return nothingReleased
    }
    // Before 5.0 none has a reason: the buffer is as long as what stands in it.
    let size = (end - this.head) * (level === 5 ? acknowledgementBytesMax : acknowledgementBytes)
    for (const packet of this.explained.values()) size += packet.length
    const bytes = Buffer.allocUnsafe(size)
    const mask = this.ids.length - 1
    let at = 0
    let withheld = 0
    while (this.firstGroup?.isSettled === true && withheld === 0) {
      const group = this.firstGroup
      while (this.head < group.end && withheld === 0) {
        const slot = this.head & mask
        const own = this.reasons[slot] as number
        const reason = own === asTheGroup ? group.reason : own
        // PUBCOMP has no code for a failed commit, and before 5.0 nothing has.
        const isPubcomp = this.types[slot] === packetTypes.pubcomp
        if (reason >= 0x80 && (isPubcomp ? own === asTheGroup : level !== 5)) {
          withheld = reason
          break
        }
        const packet = this.explained.get(this.head)
        if (packet === undefined) {
          const [type, id] = [this.types[slot] as number, this.ids[slot] as number]
          at = writeAcknowledgement(bytes, at, type, id, level === 5 ? reason : 0)
        } else {
          bytes.set(packet, at)
          at += packet.length
          this.explained.delete(this.head)
        }
        if (this.types[slot] === packetTypes.puback) this.pubacks -= 1
        this.head += 1
      }
      if (withheld === 0) this.shiftGroup()
    }
    return { bytes: at === 0 ? null : at === size ? bytes : bytes.subarray(0, at), count: this.head - from, withheld }
  }

  private shiftGroup(): void {
    const group = this.firstGroup
    if (group === null) return
    this.firstGroup = group.next
    // What has become old must not keep the young ones behind it alive.
    group.next = null
    if (this.firstGroup === null) this.lastGroup = null
  }

  private settledEnd(): number {
    let end = this.head
    for (let group = this.firstGroup; group?.isSettled === true; group = group.next) end = group.end
    return end
  }
}

const nothingReleased = { bytes: null, count: 0, withheld: 0 } as const
