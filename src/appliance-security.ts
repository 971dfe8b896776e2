/** Who clients are, put together: certificates of listeners, users, and tokens with the keys of their issuer. */
import type { Audit } from './base/audit-def.ts'
import type { Ports } from './base/ports.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { ApplianceConfig } from './config.ts'
import { takesTokens } from './config-tokens.ts'
import type { SaslListener } from './ingest/kafka/connection-security.ts'
import { judgeListeners } from './listener-judgement.ts'
import { Authenticator } from './security/authenticator.ts'
import type { SaslMechanism } from './security/sasl/sasl-server.ts'
import { TlsKeeper } from './security/tls-keeper.ts'
import { TokenCheck } from './security/tokens/token-check.ts'
import { TokenKeyKeeper } from './security/tokens/token-key-keeper.ts'
import { tokenKeyOptionsOf, tokenPolicyOf } from './security/tokens/token-options.ts'

export class ApplianceSecurity {
  readonly certificates: TlsKeeper
  readonly #config: ApplianceConfig
  readonly #settings: BrokerSettings
  readonly #ports: Ports
  readonly #audit: Audit
  #authenticator: Authenticator | null = null
  #tokenKeys: TokenKeyKeeper | null = null

  constructor(config: ApplianceConfig, settings: BrokerSettings, ports: Ports, audit: Audit) {
    this.#config = config
    this.#settings = settings
    this.#ports = ports
    this.#audit = audit
    this.certificates = new TlsKeeper(ports)
  }

  /** Throws an ApplianceError where listeners could not know their clients. */
  async start(cluster: Cluster): Promise<void> {
    judgeListeners(this.#config, this.#settings, cluster, this.#ports.observer)
    const tokens = takesTokens(this.#config.listeners) ? await this.#openTokens() : null
    const { clock, compute, entropy, observer } = this.#ports
    this.#authenticator = new Authenticator({
      clock,
      compute,
      entropy,
      observer,
      credentials: cluster.image.credentials,
      failureDelayMs: () => this.#settings.number('connection.failed.authentication.delay.ms'),
      tokens,
      audit: this.#audit,
    })
  }

  stop(): void {
    this.certificates.stop()
    this.#tokenKeys?.stop()
  }

  get authenticator(): Authenticator {
    if (this.#authenticator === null) throw new Error('users are asked for before the cluster is open')
    return this.#authenticator
  }

  /** How a Kafka listener authenticates; null = it does not. */
  sasl(mechanisms: readonly SaslMechanism[]): SaslListener | null {
    if (mechanisms.length === 0) return null
    const sessionMs = (): number => this.#settings.number('connections.max.reauth.ms')
    return { mechanisms, authenticator: this.authenticator, sessionMs }
  }

  async #openTokens(): Promise<TokenCheck> {
    const { oauthbearer, dataDir } = this.#config
    const keeper = new TokenKeyKeeper(tokenKeyOptionsOf(this.#settings, oauthbearer, dataDir), this.#ports)
    this.#tokenKeys = keeper
    await keeper.start()
    return new TokenCheck({
      clock: this.#ports.clock,
      source: keeper,
      policy: tokenPolicyOf(this.#settings, oauthbearer),
    })
  }
}
