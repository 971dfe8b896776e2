import type { Connection } from '../../base/ports.ts'
import type { DoorCounters } from './door-counters.ts'

/** Packets of up to this many bytes together become one buffer: one write for a turn's acknowledgements and small messages. */
const joinBytesMax = 65_536

/** What one connection sends, gathered so that a turn of the loop makes one write. */
export class ConnectionOutput {
  private readonly socket: Connection
  private readonly counters: DoorCounters
  private readonly quota: { sent(bytes: number): void }
  private packets: Uint8Array[] = []
  private bytes = 0
  private blocked = false

  constructor(socket: Connection, counters: DoorCounters, quota: { sent(bytes: number): void }) {
    this.socket = socket
    this.quota = quota
    this.counters = counters
  }

  /** True while the socket's backlog is full: the client does not read as fast as we send. */
  get isBlocked(): boolean {
    return this.blocked
  }

  /** Queues a packet; its bytes must not change any more. A gathering of more than a buffer's worth leaves at once. */
  push(packet: Uint8Array): void {
    this.packets.push(packet)
    this.bytes += packet.length
    if (this.bytes > joinBytesMax) this.flush()
  }

  /** Sends what is queued. */
  flush(): void {
    if (this.packets.length === 0) return
    const packets =
      this.packets.length > 1 && this.bytes <= joinBytesMax ? [joined(this.packets, this.bytes)] : this.packets
    this.packets = []
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

function joined(packets: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const packet of packets) {
    bytes.set(packet, at)
    at += packet.length
  }
  return bytes
}
