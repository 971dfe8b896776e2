/** What the command line asks of its host, `main.ts`: the layers above it and the operating system below. */
import type { Ports } from '../../base/ports.ts'
import type { ConfigurationReport, ConfigurationSource } from './configuration-source.ts'

export interface CommandLineHost {
  readonly version: string
  /**
   * Runs the daemon on this configuration (`readConfiguration` of src/config-reader.ts). Resolves when it has stopped, rejects with an
   * ApplianceError when it cannot start.
   */
  startDaemon(source: ConfigurationSource): Promise<void>
  /** `inspectConfiguration` of src/config-reader.ts. */
  inspectConfiguration(source: ConfigurationSource): Promise<ConfigurationReport>
  /** Real ports for the commands that speak Kafka; made when first asked for, no writer thread is needed. */
  clientPorts(): Promise<Pick<Ports, 'net' | 'clock' | 'compute' | 'entropy'>>
  /** The command that starts this program again, without arguments: `demo` runs two daemons. */
  readonly selfCommand: readonly string[]
}
