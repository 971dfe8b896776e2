/** What the command line asks of its host, `main.ts`: the layers above it and the operating system below. */
import type { ListenAddress, Ports } from '../../base/ports.ts'
import type { RouteExplanation } from '../../ingest/mqtt/route-explanation.ts'
import type { AskedRoute } from './mqtt-route-command.ts'
import type { VerifyFinding, VerifySummary } from './verify-command.ts'
import type { ConfigurationReport, ConfigurationSource } from './configuration-source.ts'

/** A Kafka listener by Kafka's names. */
export interface KafkaExportListener {
  readonly name: string
  readonly protocol: string
  readonly listen: ListenAddress
  readonly advertise: ListenAddress | null
  readonly tls: {
    readonly certificate: string
    readonly key: string
    readonly clientCa: string | null
    readonly clientCrl: string | null
    readonly moreCertificates: readonly { readonly certificate: string; readonly key: string }[]
    readonly clientAuth: string
  } | null
  readonly saslMechanisms: readonly string[]
}

/** A data directory that is ready for Apache Kafka. */
export interface KafkaExport {
  /** What Kafka's `log.dirs` has to name. */
  readonly logDir: string
  readonly nodeId: number
  readonly clusterId: string
  readonly listeners: readonly KafkaExportListener[]
  /** Scopes that tokens need here. */
  readonly requiredScopes: readonly string[]
  /** As whom clients of GSSAPI know this node. */
  readonly kerberos: { readonly keytab: string; readonly principal: string } | null
  /** Nothing had to be recovered. */
  readonly wasClean: boolean
  /** Logs with a damage that is known, by `topic-partition`. */
  readonly damagedLogs: readonly string[]
  /** Logs that belong to no topic of the cluster. */
  readonly unclaimedLogs: readonly string[]
  readonly topics: readonly { readonly name: string; readonly partitions: number; readonly records: number }[]
  /** Kafka's broker settings that the configuration sets. */
  readonly settings: readonly (readonly [name: string, value: string])[]
}

export interface CommandLineHost {
  readonly version: string
  /**
   * Runs the daemon on this configuration (`readConfiguration` of src/config-reader.ts). Resolves when it has stopped, rejects with an
   * ApplianceError when it cannot start.
   */
  startDaemon(source: ConfigurationSource): Promise<void>
  /** `inspectConfiguration` of src/config-reader.ts. */
  inspectConfiguration(source: ConfigurationSource): Promise<ConfigurationReport>
  /** Opens the data directory, checks it and stops it cleanly. Rejects with an ApplianceError, also while a process holds it. */
  exportForKafka(source: ConfigurationSource, options: { readonly allowsDamage: boolean }): Promise<KafkaExport>
  /** Looks through a stopped data directory. Rejects with an ApplianceError when there is none, also while a process holds it. */
  verifyLog(source: ConfigurationSource, tell: (finding: VerifyFinding) => void): Promise<VerifySummary>
  /** Lets deletion go on after the metadata was rebuilt. Answers why it was held; null = it was not. */
  confirmRecovery(source: ConfigurationSource): Promise<string | null>
  /** Where messages of an MQTT topic go by a configuration. Rejects with an ApplianceError when a route cannot be used. */
  explainMqttRoute(source: ConfigurationSource, question: AskedRoute): Promise<RouteExplanation>
  /** Real ports for the commands that speak Kafka; made when first asked for, no writer thread is needed. */
  clientPorts(): Promise<Pick<Ports, 'net' | 'clock' | 'compute' | 'entropy'>>
  /** The command that starts this program again, without arguments: `demo` runs two daemons. */
  readonly selfCommand: readonly string[]
}
