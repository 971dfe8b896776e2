import type { Connection } from '../../base/ports.ts'

/** Why nothing is read from a client. */
export const pauseReasons = {
  /** A message waits for its Kafka topic to be created, or to be decoded. */
  topic: 1,
  /** Too many bytes of this connection are not committed. */
  uncommitted: 2,
  /** Too many bytes of the whole broker are not committed. */
  pending: 4,
  /** The client does not read what we send. */
  backlog: 8,
  /** An append failed and the client cannot be told. */
  failure: 16,
  /** The session is being written down. */
  connect: 64,
  /** The door stops. */
  stop: 32,
  /** It is not yet known who the client is. */
  identity: 128,
  /** The client is above a quota. */
  quota: 256,
  /** A SUBSCRIBE waits for the commit of what the client published before it. */
  order: 512,
} as const

/** Pauses a socket while there is any reason to. TCP is the back-pressure. */
export class PauseSwitch {
  private readonly socket: Connection
  private reasons = 0

  constructor(socket: Connection) {
    this.socket = socket
  }

  /** Paused for a reason that is ours: the client's keep-alive does not run meanwhile. */
  get isOurs(): boolean {
    return (this.reasons & ~pauseReasons.backlog) !== 0
  }

  has(reason: number): boolean {
    return (this.reasons & reason) !== 0
  }

  add(reason: number): void {
    if (this.reasons === 0) this.socket.pause()
    this.reasons |= reason
  }

  remove(reason: number): void {
    if (this.reasons === 0) return
    this.reasons &= ~reason
    if (this.reasons === 0) this.socket.resume()
  }
}
