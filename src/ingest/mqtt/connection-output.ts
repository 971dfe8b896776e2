import type { Connection } from '../../base/ports.ts'
import { type EncodedPublish, writePublish } from '../../protocol/mqtt/encode.ts'
import type { DoorCounters } from './door-counters.ts'

/** Packets of up to this many bytes together become one buffer: one write for a turn's acknowledgements and small messages. */
const joinBytesMax = 65_536
/** As few leave as they are. */
const apartMax = 4
/** The messages of a turn behind the first are written one behind the other into memory of this size, and the more there are, the more of it. */
const runBytesMin = 4096
const runBytesMax = 16_384

/** What one connection sends, gathered so that a turn of the loop makes one write. */
export class ConnectionOutput {
  private readonly socket: Connection
  private readonly counters: DoorCounters
  private readonly quota: { sent(bytes: number): void }
  // Mostly one packet a turn: no list is made of it.
  private first: Uint8Array | null = null
  private more: Uint8Array[] | null = null
  private bytes = 0
  private blocked = false
  /** The end of what is queued: what was written into it up to `runEnd` is not in the list yet. */
  private run: Uint8Array | null = null
  private runEnd = 0

  constructor(socket: Connection, counters: DoorCounters, quota: { sent(bytes: number): void }) {
    this.socket = socket
    this.quota = quota
    this.counters = counters
  }

  /** True while the socket's backlog is full: the client does not read as fast as we send. */
  get isBlocked(): boolean {
    return this.blocked
  }

  /** Queues a packet, or several; their bytes must not change any more. A gathering of more than a buffer's worth leaves at once. */
  push(packet: Uint8Array, count = 1): void {
    this.counters.totals.sentPackets += count
    this.endRun()
    this.add(packet)
    this.bytes += packet.length
    if (this.bytes > joinBytesMax) this.flush()
  }

  /** The same of a PUBLISH; at QoS 1 and 2 a copy is made of it, with its packet id. */
  pushPublish(publish: EncodedPublish, packetId: number, duplicate: boolean): void {
    if (publish.packetIdAt < 0) return this.push(publish.memory)
    const size = publish.end - publish.start
    this.counters.totals.sentPackets += 1
    let { run } = this
    if (run === null || this.runEnd + size > run.length) {
      this.endRun()
      run = Buffer.allocUnsafe(this.bytes === 0 ? size : Math.max(size, this.nextRunBytes))
      this.run = run
    }
    this.runEnd = writePublish(run, this.runEnd, publish, packetId, duplicate)
    this.bytes += size
    if (this.bytes > joinBytesMax) this.flush()
  }

  private get nextRunBytes(): number {
    return this.bytes < runBytesMin ? runBytesMin : runBytesMax
  }

  private endRun(): void {
    const { run, runEnd } = this
    if (run === null) return
    this.run = null
    this.runEnd = 0
    this.add(runEnd === run.length ? run : run.subarray(0, runEnd))
  }

  private add(packet: Uint8Array): void {
    if (this.first === null) this.first = packet
    else {
      this.more ??= []
      this.more.push(packet)
    }
  }

  /** Sends what is queued. */
  flush(): void {
    this.endRun()
    const { first, more } = this
    if (first === null) return
    this.first = null
    this.more = null
    const packets =
      more === null
        ? [first]
        : more.length >= apartMax && this.bytes <= joinBytesMax
          ? [joined(first, more, this.bytes)]
          : [first, ...more]
    this.counters.totals.sentBytes += this.bytes
    this.quota.sent(this.bytes)
    this.bytes = 0
    if (!this.socket.send(packets)) this.blocked = true
  }

  /** The backlog has gone. */
  unblock(): void {
    this.blocked = false
  }
}

function joined(first: Uint8Array, more: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(size)
  bytes.set(first)
  let at = first.length
  for (const packet of more) {
    bytes.set(packet, at)
    at += packet.length
  }
  return bytes
}
