/** How far messages on their way to one client are. */
import type { MessageOrigin } from './outgoing-message.ts'
import type { LogDelivery } from './session-types.ts'

/** A message of QoS 1 or 2 on its way: from its packet id to PUBACK or PUBREC. */
export interface InflightDelivery extends LogDelivery {
  readonly packetId: number
  /** False until it was sent on this connection. */
  isSent: boolean
  /** It was sent on any connection: the next time with DUP. */
  wasSent: boolean
  /** The log knows its id: `recording` while that is on its way; `none` = it need not. */
  record: 'none' | 'recording' | 'durable'
}

/** A QoS 2 message that the client has (PUBREC): `recording` until the log knows that, then PUBREL is `due`, then `sent`. */
export interface Release {
  state: 'recording' | 'due' | 'sent'
  /** It has its place in the window of this connection. */
  isCounted: boolean
  /** Its place, if the log knows the id. */
  readonly origin: MessageOrigin | null
}
