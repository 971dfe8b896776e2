/** Settings and bounds of the Kafka door; `config.ts` and the broker configs fill them. */
import { addressGroup, type GateLimits, isLocalHost, parseAddressOverrides } from '../../base/connection-gate.ts'
import type { PeerFacts } from '../../base/ports.ts'
import type { QuotaKeeper } from '../../security/quotas/quota-keeper.ts'
import { anonymousPrincipal, certificateNaming, principalOfPeer } from '../../security/principal.ts'

/** A feature of the cluster, as ApiVersions tells it (KIP-584). A feature that is not served is not in the lists. */
export interface ClusterFeatures {
  /** Grows with every change; -1 when unknown. */
  readonly epoch: number
  readonly supported: readonly { readonly name: string; readonly minVersion: number; readonly maxVersion: number }[]
  readonly finalized: readonly { readonly name: string; readonly level: number }[]
}

export interface KafkaDoorOptions {
  /** socket.request.max.bytes: a longer frame is refused at its length. */
  readonly requestBytesMax: number
  /** max.connections, max.connections.per.ip, max.connections.per.ip.overrides and max.connection.creation.rate, of all listeners. */
  readonly connections: GateLimits
  /** connections.max.idle.ms: a connection without traffic and without a running request is closed. */
  readonly idleMs: number
  /** Requests of one connection that have begun and are not answered; beyond it the socket is paused. */
  readonly pendingRequestsMax: number
  /** Bytes of answers that one connection may hold back before it begins no further request. */
  readonly unsentBytesMax: number
  /** Bytes of all requests that are being received (large frames) or handled, of all connections. */
  readonly requestMemoryBytesMax: number
  /** Bytes of all answers that wait for their turn or for a slow reader; beyond it no further Fetch begins. */
  readonly responseMemoryBytesMax: number
  /** How long a stop waits for running requests. */
  readonly stopTimeoutMs: number
  /** Who a new connection speaks for; null = nobody whom the listener takes. */
  readonly principalOf: (peer: PeerFacts) => string | null
  /** Null: nothing is held against quotas. */
  readonly quotas: QuotaKeeper | null
  /** Asked with each ApiVersions. */
  readonly features: () => ClusterFeatures
}

const mib = 1_048_576

/**
 * Where these differ from Kafka's: its 100 MiB frames are a way to fill a small host, so a frame may be a largest message
 * (max.message.bytes, 1 MiB) and 8 MiB more; its connections and answers have no bound at all.
 */
export const kafkaDoorDefaults: Omit<KafkaDoorOptions, 'features'> = {
  principalOf: () => anonymousPrincipal,
  quotas: null,
  requestBytesMax: 9 * mib,
  connections: gateLimits({ connectionsMax: 1_000 }),
  idleMs: 600_000,
  pendingRequestsMax: 256,
  unsentBytesMax: mib,
  requestMemoryBytesMax: 64 * mib,
  responseMemoryBytesMax: 128 * mib,
  stopTimeoutMs: 10_000,
}

/** Bounds that do not change; what is not named has none. */
export function gateLimits(fixed: {
  readonly connectionsMax?: number
  readonly connectionsPerAddressMax?: number
  readonly connectionsPerSecondMax?: number
}): GateLimits {
  return {
    connectionsMax: () => fixed.connectionsMax ?? Infinity,
    connectionsPerAddressMax: () => fixed.connectionsPerAddressMax ?? Infinity,
    connectionsPerSecondMax: () => fixed.connectionsPerSecondMax ?? Infinity,
  }
}

/** The bounds as Kafka's settings say them, now: AlterConfigs may change them. */
function kafkaGateLimits(
  settings: { number(name: string): number; text(name: string): string },
  quotas: QuotaKeeper,
): GateLimits {
  let written = ''
  let overrides: ReadonlyMap<string, number> = new Map()
  const overrideOf = (host: string): number | undefined => {
    const text = settings.text('max.connections.per.ip.overrides')
    if (text !== written) {
      const parsed = parseAddressOverrides(text)
      overrides = typeof parsed === 'string' ? new Map() : parsed
      written = text
    }
    return overrides.get(addressGroup(host))
  }
  const usual = (host: string): number => (isLocalHost(host) ? Infinity : settings.number('max.connections.per.ip'))
  return {
    connectionsMax: () => settings.number('max.connections'),
    connectionsPerAddressMax: (host) => overrideOf(host) ?? usual(host),
    connectionsPerSecondMax: () => settings.number('max.connection.creation.rate'),
    connectionsPerSecondOfAddress: (host) => quotas.connectionRateOf(host),
  }
}

/** The options as Kafka's broker settings say them. */
export function kafkaDoorOptionsOf(
  settings: { number(name: string): number; text(name: string): string },
  quotas: QuotaKeeper,
  features: () => ClusterFeatures,
): KafkaDoorOptions {
  const mapping = certificateNaming(settings.text('ssl.principal.mapping.rules'))
  return {
    ...kafkaDoorDefaults,
    principalOf: (peer) => principalOfPeer(peer, mapping),
    requestBytesMax: settings.number('socket.request.max.bytes'),
    connections: kafkaGateLimits(settings, quotas),
    quotas,
    idleMs: settings.number('connections.max.idle.ms'),
    features,
  }
}
