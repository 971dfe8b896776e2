/** What one connection is to the parts of the door: itself, so that ten thousand of them need no closures for it. */
import type { ConnectionHandlers } from '../../base/ports.ts'
import type { PacketRowsTaker } from '../../protocol/mqtt/stream-decoder.ts'
import type { Committer } from './ack-queue.ts'
import type { PendingBytesWaiter } from './door-services.ts'
import type { HandshakeHost } from './handshake.ts'
import type { RequestLink } from './request-handler.ts'
import type { SessionLink } from './session-types.ts'

export interface ConnectionRoles
  extends SessionLink,
    RequestLink,
    Committer,
    PendingBytesWaiter,
    HandshakeHost,
    ConnectionHandlers,
    PacketRowsTaker {}
