import type { Clock, Compute, Entropy, Net, Observer, PeerFacts } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { SparkplugCodec } from '../../protocol/sparkplug/payload-codec.ts'
import type { Authenticator } from '../../security/authenticator.ts'
import type { Authorizer } from '../../security/authorizer.ts'
import type { QuotaKeeper } from '../../security/quotas/quota-keeper.ts'
import type { CommandOffsets } from './command-offsets.ts'
import type { MqttDoorOptions } from './mqtt-options.ts'
import type { PayloadChecks } from './payload-check.ts'

/** What the MQTT door is made of. */
export interface MqttDoorParts {
  readonly net: Net
  readonly clock: Clock
  readonly entropy: Entropy
  readonly compute: Compute
  readonly observer: Observer
  readonly broker: Broker
  readonly options: MqttDoorOptions
  /** Of this run, in hexadecimal: marks records that are received while the time is not known. */
  readonly bootId: string
  /** Ours, as `$SYS/broker/version` tells it. */
  readonly version: string
  /** For listeners with passwords. */
  readonly authenticator?: Authenticator
  /** Omitted: everybody may do everything. */
  readonly authorizer?: Authorizer
  readonly quotas?: QuotaKeeper
  /** Schemas of routes; omitted: none has one. */
  readonly checks?: PayloadChecks
  /** Decodes payloads of Sparkplug; omitted: none are to be decoded. */
  readonly sparkplugCodec?: SparkplugCodec
  /** Where command routes keep their offsets; omitted: there are no such routes. */
  readonly commandOffsets?: CommandOffsets
  /** Names the client of a certificate; omitted: everybody is anonymous. */
  readonly principalOf?: (peer: PeerFacts) => string | null
}
