/** One member of a classic group: what it supports, what it was given, and the requests of it that wait. */
import type { GroupProtocol, JoinReply, SyncReply } from './group-requests.ts'

export interface GroupMemberFields {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly protocols: readonly GroupProtocol[]
}

export const noBytes: Uint8Array = new Uint8Array(0)

export class GroupMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  /** In the member's order of preference. */
  protocols: readonly GroupProtocol[]
  assignment: Uint8Array = noBytes
  /** It has not had a JoinGroup answer yet, so it does not know its member id and cannot heartbeat. */
  isNew = false
  /** Its JoinGroup that waits for the group, or null. Changed by ClassicGroup only, which counts them. */
  awaitingJoin: JoinReply | null = null
  /** Its SyncGroup that waits for the leader, or null. */
  awaitingSync: SyncReply | null = null

  constructor(fields: GroupMemberFields) {
    this.memberId = fields.memberId
    this.groupInstanceId = fields.groupInstanceId
    this.clientId = fields.clientId
    this.clientHost = fields.clientHost
    this.rebalanceTimeoutMs = fields.rebalanceTimeoutMs
    this.sessionTimeoutMs = fields.sessionTimeoutMs
    this.protocols = ownedProtocols(fields.protocols)
  }

  /** The same protocols in the same order with the same metadata? */
  supportsExactly(protocols: readonly GroupProtocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      protocols.every((protocol, index) => {
        const own = this.protocols[index] as GroupProtocol
        return own.name === protocol.name && Buffer.compare(own.metadata, protocol.metadata) === 0
      })
    )
  }

  /** The first of its protocols that is a candidate; null when none is. */
  vote(candidates: ReadonlySet<string>): string | null {
    return this.protocols.find((protocol) => candidates.has(protocol.name))?.name ?? null
  }

  /** What it said for this protocol; nothing when it does not support it. */
  metadataOf(protocolName: string | null): Uint8Array {
    return this.protocols.find((protocol) => protocol.name === protocolName)?.metadata ?? noBytes
  }

  /** A member that waits for the group gives no heartbeats; it is not late. A new one is: nothing else would ever end its wait. */
  get isExcusedFromHeartbeat(): boolean {
    return !this.isNew && (this.awaitingJoin !== null || this.awaitingSync !== null)
  }
}

/** Copies: what comes from a request is a view into its frame, and would keep all of it. (`slice` of a Buffer does not copy.) */
export function ownedProtocols(protocols: readonly GroupProtocol[]): readonly GroupProtocol[] {
  return protocols.map(({ name, metadata }) => ({ name, metadata: new Uint8Array(metadata) }))
}
