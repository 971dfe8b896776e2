/**
 * Nobody is anonymous once there is an administrator. Set-up makes one at a daemon that runs: from one turn of the loop to the next every
 * listener asks for names. An administrator that is made otherwise, by Kafka's tools say, has the same effect, at once and at every start
 * while there is one, whatever the file says: `listeners.dangerouslyAllowUnprotected` alone holds it off.
 *
 * The command has made the admin and written the file before it asks for this, so a start after a crash finds the same.
 */
import type { SetUpFacts } from './admin/access.ts'
import type { Audit } from './base/audit-def.ts'
import type { Listener, Observer } from './base/ports.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { ApplianceConfig } from './config.ts'
import { namedListeners, namelessListeners } from './config-safety.ts'
import type { KafkaDoor } from './ingest/kafka/door.ts'
import type { SaslListener } from './ingest/kafka/connection-security.ts'
import type { MqttDoor } from './ingest/mqtt/mqtt-door.ts'
import { administratorOf } from './security/administrators.ts'
import { auditTypes } from './security/audit/audit-types.ts'
import { type Authorizer, parseSuperUsers } from './security/authorizer.ts'
import { userOf } from './security/principal.ts'
import { securityEvents } from './security/security-events.ts'
import { setUpMechanisms, standardAuthorizer } from './security/set-up.ts'

export interface SetUpParts {
  readonly config: Pick<ApplianceConfig, 'listeners' | 'audit'>
  readonly settings: BrokerSettings
  readonly authorizer: Authorizer
  readonly cluster: Pick<Cluster, 'image' | 'onAccessChange'>
  readonly observer: Observer
  readonly audit: Audit
  readonly hasAudit: boolean
  readonly sasl: (mechanisms: typeof setUpMechanisms) => SaslListener | null
  /** Null until clients are served. `listeners`: those of one protocol, as the configuration lists them. */
  readonly doors: () => {
    readonly kafka: KafkaDoor
    readonly mqtt: MqttDoor
    readonly listeners: (protocol: 'kafka' | 'mqtt') => readonly Listener[]
  } | null
}

export class ApplianceSetUp {
  readonly #parts: SetUpParts
  /** What the configuration leaves open: `kafka.0`, `http`. */
  readonly #open: readonly string[]
  #isDone = false

  /** Where there is an administrator nothing is opened to those without a name. */
  constructor(parts: SetUpParts) {
    this.#parts = parts
    const { listeners } = parts.config
    const { authentication, tls } = listeners.http
    const isHttpOpen = authentication !== 'required' && tls?.clientAuth !== 'required'
    this.#open = [...namelessListeners(listeners), ...(isHttpOpen ? ['http'] : [])]
    const administrator = this.#administrator()
    if (administrator === null) return
    if (listeners.dangerouslyAllowUnprotected) {
      for (const listener of this.#open) parts.observer.event(securityEvents.listenerNameless, { listener })
      return
    }
    this.#decideRights(administrator)
    this.#isDone = true
    this.#told(administrator, { closed: this.#open, ended: 0 })
  }

  /** The HTTP listener asks for names, whatever its configuration of the start says. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** As they are to be opened. */
  get listeners(): Pick<ApplianceConfig['listeners'], 'kafka' | 'mqtt'> {
    const { listeners } = this.#parts.config
    return this.#isDone ? namedListeners(listeners, setUpMechanisms) : listeners
  }

  /** Clients are served: what is open is closed when somebody becomes an administrator, or has become one meanwhile. */
  watch(): void {
    if (this.#parts.config.listeners.dangerouslyAllowUnprotected) return
    const look = (): void => {
      const administrator = this.#parts.doors() === null ? null : this.#administrator()
      if (administrator !== null) this.#told(administrator, this.#close(administrator))
    }
    this.#parts.cluster.onAccessChange(look)
    look()
  }

  #told(administrator: string, { closed, ended }: Pick<SetUpFacts, 'closed' | 'ended'>): void {
    const { audit, observer } = this.#parts
    const listeners = closed.join(', ')
    observer.event(securityEvents.listenersClosed, { principal: administrator, listeners, ended })
    const actor = { principal: administrator, client: '', outcome: 'done' }
    audit.record(auditTypes.nodeSetUp, administrator, { ...actor, detail: closed.join(' '), repeated: 0 })
  }

  /** Closes what is open, with `principal` as the admin; a sentence when it cannot. A second time finds nothing to do. */
  run(principal: string): SetUpFacts | string {
    const { config, cluster, observer } = this.#parts
    if (this.#parts.doors() === null) return 'clients are not served yet, or not any more'
    // Who could not come back by the listeners that are closed would have locked everybody out.
    if (cluster.image.credentials.ofUser(userOf(principal)) === undefined) {
      return `${principal} has no password: make one first`
    }
    const { closed, ended } = this.#close(principal)
    if (closed.length > 0) observer.event(securityEvents.setUp, { principal, listeners: closed.join(', '), ended })
    const isSuper = this.#superUsers().has(principal)
    const waits = [
      ...(isSuper ? [] : ['super.users']),
      ...(!this.#parts.hasAudit && config.audit.keep !== 'never' ? ['audit'] : []),
    ]
    return { principal, closed, ended, waits }
  }

  #close(principal: string): Pick<SetUpFacts, 'closed' | 'ended'> {
    const doors = this.#parts.doors()
    const sasl = this.#parts.sasl(setUpMechanisms)
    if (doors === null || sasl === null) throw new Error('listeners are closed that are not there, or ask for no names')
    this.#decideRights(principal)
    const closed = this.#isDone ? [] : this.#open
    this.#isDone = true
    // By now nobody without a name may do anything: those who are there are ended for their own good.
    const closing = (protocol: 'kafka' | 'mqtt'): readonly Listener[] =>
      doors.listeners(protocol).filter((_, index) => closed.includes(`${protocol}.${index}`))
    let ended = doors.mqtt.askForNames(closing('mqtt'))
    for (const listener of closing('kafka')) ended += doors.kafka.askForNames(listener, sasl)
    return { closed, ended }
  }

  /** Null also where nothing is open any more. */
  #administrator(): string | null {
    const { cluster, authorizer } = this.#parts
    if (this.#isDone || this.#open.length === 0) return null
    const { credentials, acls } = cluster.image
    return administratorOf({ credentials, acls, authorizer, superUsers: this.#superUsers() })
  }

  /** Where everybody could do everything the admin still can. An authorizer that is there has its own idea of it. */
  #decideRights(principal: string): void {
    const { settings, authorizer } = this.#parts
    if (authorizer.isEnabled) return
    settings.adopt('authorizer.class.name', standardAuthorizer)
    const users = this.#superUsers()
    settings.adopt('super.users', [...users.add(principal)].join(';'))
    authorizer.enable(users)
  }

  #superUsers(): Set<string> {
    const users = parseSuperUsers(this.#parts.settings.text('super.users'))
    return new Set(typeof users === 'string' ? [] : users)
  }
}
