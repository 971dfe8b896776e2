/**
 * Set-up at a daemon that runs: from one turn of the loop to the next nobody is anonymous. The command has made the admin and written the
 * file before it asks for this, so a start after a crash finds the same: open before the file is written, closed from then on.
 */
import type { SetUpFacts } from './admin/access.ts'
import type { Listener, Observer } from './base/ports.ts'
import type { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { ApplianceConfig } from './config.ts'
import { namelessListeners } from './config-safety.ts'
import type { KafkaDoor } from './ingest/kafka/door.ts'
import type { SaslListener } from './ingest/kafka/connection-security.ts'
import type { MqttDoor } from './ingest/mqtt/mqtt-door.ts'
import { type Authorizer, parseSuperUsers } from './security/authorizer.ts'
import { userOf } from './security/principal.ts'
import type { ScramCredentials } from './security/scram-credentials.ts'
import { securityEvents } from './security/security-events.ts'
import { setUpMechanisms, standardAuthorizer } from './security/set-up.ts'

export interface SetUpParts {
  readonly config: Pick<ApplianceConfig, 'listeners' | 'audit'>
  readonly settings: BrokerSettings
  readonly authorizer: Authorizer
  readonly credentials: ScramCredentials
  readonly observer: Observer
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
  #isDone = false

  constructor(parts: SetUpParts) {
    this.#parts = parts
  }

  /** Set-up has run since the start: the HTTP listener asks for names, whatever its configuration of the start says. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Closes what is open, with `principal` as the admin; a sentence when it cannot. A second time finds nothing to do. */
  run(principal: string): SetUpFacts | string {
    const { config, credentials, observer } = this.#parts
    const doors = this.#parts.doors()
    if (doors === null) return 'clients are not served yet, or not any more'
    // Who could not come back by the listeners that are closed would have locked everybody out.
    if (credentials.ofUser(userOf(principal)) === undefined) return `${principal} has no password: make one first`
    const sasl = this.#parts.sasl(setUpMechanisms)
    if (sasl === null) throw new Error('a Kafka listener with mechanisms that asks for no names')
    this.#decideRights(principal)
    const wasDone = this.#isDone
    this.#isDone = true
    // By now nobody without a name may do anything: those who are there are ended for their own good.
    const nameless = new Set(wasDone ? [] : namelessListeners(config.listeners))
    const closing = (protocol: 'kafka' | 'mqtt'): readonly Listener[] =>
      doors.listeners(protocol).filter((_, index) => nameless.has(`${protocol}.${index}`))
    let ended = doors.mqtt.askForNames(closing('mqtt'))
    for (const listener of closing('kafka')) ended += doors.kafka.askForNames(listener, sasl)
    const { authentication, tls } = config.listeners.http
    const closesHttp = !wasDone && authentication !== 'required' && tls?.clientAuth !== 'required'
    const closed = [...nameless, ...(closesHttp ? ['http'] : [])]
    if (closed.length > 0) observer.event(securityEvents.setUp, { principal, listeners: closed.join(', '), ended })
    const isSuper = this.#superUsers().has(principal)
    const waits = [
      ...(isSuper ? [] : ['super.users']),
      ...(!this.#parts.hasAudit && config.audit.keep !== 'never' ? ['audit'] : []),
    ]
    return { principal, closed, ended, waits }
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
