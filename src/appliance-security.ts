/** Who clients are, put together: certificates of listeners, users, and tokens with the keys of their issuer. */
import type { Audit } from './base/audit-def.ts'
import { asError } from './base/errors.ts'
import type { Ports } from './base/ports.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { ApplianceConfig } from './config.ts'
import { takesTokens } from './config-tokens.ts'
import type { SaslListener } from './ingest/kafka/connection-security.ts'
import { judgeListeners } from './listener-judgement.ts'
import { Authenticator } from './security/authenticator.ts'
import { kerberosUser, parseKerberosRules } from './security/kerberos-names.ts'
import { GssapiServer } from './security/sasl/gssapi-server.ts'
import type { SaslMechanism, SaslServer } from './security/sasl/sasl-server.ts'
import { securityEvents } from './security/security-events.ts'
import { TlsKeeper } from './security/tls-keeper.ts'
import { TokenCheck, type TokenJudge } from './security/tokens/token-check.ts'
import { TokenIssuers } from './security/tokens/token-issuers.ts'
import { TokenKeyKeeper } from './security/tokens/token-key-keeper.ts'
import { tokenIssuersOf } from './security/tokens/token-options.ts'

export class ApplianceSecurity {
  readonly certificates: TlsKeeper
  readonly #config: ApplianceConfig
  readonly #settings: BrokerSettings
  readonly #ports: Ports
  readonly #audit: Audit
  #authenticator: Authenticator | null = null
  #tokenKeys: readonly TokenKeyKeeper[] = []
  #kerberos: (() => SaslServer) | null = null

  constructor(config: ApplianceConfig, settings: BrokerSettings, ports: Ports, audit: Audit) {
    this.#config = config
    this.#settings = settings
    this.#ports = ports
    this.#audit = audit
    this.certificates = new TlsKeeper(ports)
  }

  /** Throws an ApplianceError where listeners could not know their clients. */
  async start(cluster: Cluster): Promise<void> {
    judgeListeners(this.#config, cluster, this.#ports.observer)
    const tokens = takesTokens(this.#config.listeners) ? await this.#openTokens() : null
    const { clock, compute, entropy, observer } = this.#ports
    this.#kerberos = this.#openKerberos()
    this.#authenticator = new Authenticator({
      clock,
      compute,
      entropy,
      observer,
      credentials: cluster.image.credentials,
      failureDelayMs: () => this.#settings.number('connection.failed.authentication.delay.ms'),
      tokens,
      kerberos: this.#kerberos,
      audit: this.#audit,
    })
  }

  stop(): void {
    this.certificates.stop()
    for (const keeper of this.#tokenKeys) keeper.stop()
  }

  get authenticator(): Authenticator {
    if (this.#authenticator === null) throw new Error('users are asked for before the cluster is open')
    return this.#authenticator
  }

  /** How a Kafka listener authenticates; null = it does not. GSSAPI is not offered where there is no Kerberos. */
  sasl(mechanisms: readonly SaslMechanism[]): SaslListener | null {
    if (mechanisms.length === 0) return null
    const sessionMs = (): number => this.#settings.number('connections.max.reauth.ms')
    const offered = mechanisms.filter((mechanism) => this.authenticator.offers(mechanism))
    return { mechanisms: offered, authenticator: this.authenticator, sessionMs }
  }

  #openKerberos(): (() => SaslServer) | null {
    const { kerberos } = this.#config
    if (kerberos === null) return null
    const { keytab, principal } = kerberos
    const rules = parseKerberosRules(this.#settings.text('sasl.kerberos.principal.to.local.rules'))
    if (typeof rules === 'string') throw new Error(rules)
    const realm = principal.slice(principal.indexOf('@') + 1)
    const localName = (name: string): string | null => kerberosUser(rules, name, realm)
    try {
      const acceptor = this.#ports.compute.gssAcceptor(keytab, principal)
      return () => new GssapiServer({ context: acceptor.begin(), localName })
    } catch (thrown) {
      const reason = asError(thrown).message
      this.#ports.observer.event(securityEvents.kerberosMissing, { principal, reason })
      return null
    }
  }

  async #openTokens(): Promise<TokenJudge> {
    const { oauthbearer, dataDir } = this.#config
    const { clock } = this.#ports
    const issuers = tokenIssuersOf(this.#settings, oauthbearer, dataDir)
    const keepers = issuers.map(({ keys }) => new TokenKeyKeeper(keys, this.#ports))
    this.#tokenKeys = keepers
    for (const keeper of keepers) await keeper.start()
    const checks = issuers.map(({ policy }, index) => {
      return new TokenCheck({ clock, source: keepers[index] as TokenKeyKeeper, policy })
    })
    if (checks.length === 1) return checks[0] as TokenCheck
    return new TokenIssuers(new Map(checks.map((check, index) => [issuers[index]?.policy.issuer ?? '', check])))
  }
}
