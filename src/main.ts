/**
 * The entry: argv to a command; for `start`, configuration to ports to appliance, the ready line, signals and the service notices.
 * The only file that knows the operating system and the appliance at once.
 *
 * Everything that the way to the ready line does not need is imported when it is first used. There is no top-level await, because
 * the single binary is a CommonJS bundle.
 */
import { enableCompileCache } from 'node:module'
import { isatty } from 'node:tty'
import packageJson from '../package.json' with { type: 'json' }
import { runCommandLine } from './admin/cli/command-line.ts'
import type { ConfigurationSource } from './admin/cli/configuration-source.ts'
import type { CommandLineHost } from './admin/cli/host.ts'
import type { HttpSurface } from './admin/http/http-surface.ts'
import type { Appliance } from './appliance.ts'
import type { Observer } from './base/ports.ts'
import type { ApplianceConfig } from './config.ts'
import { lifecycleEvents } from './lifecycle-events.ts'
import type { AddOn } from './node/add-on.ts'
import type { NodePorts } from './node/node-ports.ts'
import { ServiceNotices } from './node/service-notices.ts'

/** A stop that takes longer has lost its way: the unit's TimeoutStopSec is above it. */
const stopMsMax = 45_000
/** After everything is closed the loop drains by itself; a deadlock in V8's shutdown must not keep the process (nodejs/node#54918). */
const drainMsMax = 3_000
/** A group that the disk has not finished for this long means that the writer makes no progress. */
const writerStallMsMax = 20_000

const host: CommandLineHost = {
  version: packageJson.version,
  startDaemon: runDaemon,
  async inspectConfiguration(source) {
    const { inspectConfiguration } = await import('./config-reader.ts')
    return inspectConfiguration(source)
  },
  async exportForKafka(source, options) {
    const { exportForKafka } = await import('./kafka-export.ts')
    const { becomeOwnerOf } = await import('./node/data-owner.ts')
    return withStopped(source, (config, ports) => exportForKafka(config, ports, options), becomeOwnerOf)
  },
  async verifyLog(source, tell) {
    const { verifyLog } = await import('./log-verify.ts')
    return withStopped(source, (config, { disk }) => verifyLog(config, disk, tell))
  },
  async confirmRecovery(source) {
    const { confirmRecovery } = await import('./recover-confirm.ts')
    return withStopped(source, (config, { disk }) => confirmRecovery(config, disk))
  },
  async explainMqttRoute(source, question) {
    const { readConfiguration } = await import('./config-reader.ts')
    const { explainMqttRoute } = await import('./mqtt-route.ts')
    return explainMqttRoute(await readConfiguration(source), question)
  },
  async clientPorts() {
    const { NodeClock } = await import('./node/clock.ts')
    const { NodeEntropy } = await import('./node/entropy.ts')
    const { NodeNet } = await import('./node/net.ts')
    const { nodeCompute } = await import('./node/compute.ts')
    const { silentObserver } = await import('./admin/silent-observer.ts')
    const net = new NodeNet({ observer: silentObserver })
    return { clock: new NodeClock(), entropy: new NodeEntropy(), net, compute: nodeCompute() }
  },
  selfCommand: selfCommand(),
}

// Without a listener this signal would open the inspector, and with it the process, to whoever is on this machine.
process.on('SIGUSR1', () => {})
enableCompileCache()
runCommandLine(process.argv.slice(2), host).then(
  (status) => {
    process.exitCode = status
  },
  (thrown: unknown) => {
    console.error(thrown)
    process.exitCode = 1
  },
)

/** The words that start this program again: the interpreter and this file, or the single binary alone. */
function selfCommand(): readonly string[] {
  const script = process.argv[1]
  return script?.endsWith('main.ts') === true ? [process.execPath, script] : [process.execPath]
}

/** Works on the data directory of a configuration without a daemon, on ports that are closed afterwards. `prepare` is called before they are made. */
async function withStopped<T>(
  source: ConfigurationSource,
  work: (config: ApplianceConfig, ports: NodePorts) => Promise<T>,
  prepare: (dataDir: string) => void = () => {},
): Promise<T> {
  const { readConfiguration } = await import('./config-reader.ts')
  const { nodePorts } = await import('./node/node-ports.ts')
  const { silentObserver } = await import('./admin/silent-observer.ts')
  const config = await readConfiguration(source)
  prepare(config.dataDir)
  const ports = nodePorts({ observer: silentObserver })
  try {
    return await work(config, ports)
  } finally {
    await ports.close()
  }
}

async function runDaemon(source: ConfigurationSource): Promise<void> {
  const { readConfiguration } = await import('./config-reader.ts')
  const config = await readConfiguration(source)
  const { ProcessObserver } = await import('./admin/observer.ts')
  const { metricTables } = await import('./metric-tables.ts')
  const surface = await import('./admin/http/http-surface.ts')
  const { nodePorts } = await import('./node/node-ports.ts')
  const { createAppliance } = await import('./appliance.ts')
  const { yieldToOwnWork } = await import('./node/helper-threads.ts')
  yieldToOwnWork()
  const observer = new ProcessObserver({
    log: { level: config.log.level, format: config.log.format, descriptor: 2, isTerminal: process.stderr.isTTY },
    version: packageJson.version,
    declared: metricTables,
  })
  let stop: (reason: string) => void = () => {}
  const ports = nodePorts({ observer, onWriterLost: (error) => stop(`the writer thread ended: ${error.message}`) })
  const appliance = createAppliance(config, ports, {
    version: packageJson.version,
    limits: await processLimits(),
    isWriterStalled: () => ports.disk.stalledMs() > writerStallMsMax,
  })
  const { TlsKeeper } = await import('./security/tls-keeper.ts')
  const certificates = new TlsKeeper({ ...ports, observer: appliance.observer })
  const notices = serviceNotices(ports.addOn, appliance)
  let http: HttpSurface | null = null
  try {
    const { listen, tls, authentication, openMetrics, hosts } = config.listeners.http
    http = new surface.HttpSurface({
      operations: () => appliance.operations,
      metricsText: () => observer.metrics.text(),
      observer,
      access: () => appliance.access(),
      authentication: { isRequired: authentication === 'required', hasOpenMetrics: openMetrics, hosts },
      tls: tls === null ? null : await certificates.open('http', tls),
    })
    const httpAddress = await http.listen(listen)
    const stopRequested = new Promise<string>((resolve) => {
      stop = resolve
    })
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal))
    process.on(
      'SIGHUP',
      hangUp(() => stop('SIGHUP'), observer),
    )
    notices.starting()
    const started = appliance.start()
    // A stop during a long recovery waits for nothing: what recovery has done is kept, what it has not is done again.
    const early = await Promise.race([started.then(() => null), stopRequested])
    if (early === null) {
      const facts = await started
      const { boundHeapGrowth, releaseHeap } = await import('./node/heap.ts')
      releaseHeap()
      boundHeapGrowth()
      const places = `kafka=${facts.kafka} mqtt=${facts.mqtt} http=${httpAddress.host}:${httpAddress.port}`
      process.stdout.write(`ready ${places} data=${config.dataDir} recovery=${Math.round(facts.recoveryMs)}ms\n`)
      notices.ready()
      await stopRequested
    }
    notices.stopping()
    armLastResort(stopMsMax)
    await started.catch(() => {})
    await appliance.stop()
  } finally {
    armLastResort(drainMsMax)
    notices.end()
    certificates.stop()
    await http?.close()
    await ports.close()
    observer.flush()
  }
}

async function processLimits(): Promise<{ readonly openFiles: number; readonly heapBytes: number }> {
  const { openFilesLimit } = await import('./node/node-ports.ts')
  const { heapBytesMax } = await import('./node/heap.ts')
  return { openFiles: openFilesLimit(), heapBytes: heapBytesMax() }
}

function serviceNotices(addOn: AddOn, appliance: Appliance): ServiceNotices {
  return new ServiceNotices({
    notify: (state) => addOn.sdNotify(state),
    isLive: () => appliance.operations.health().live,
    watchdogMs: Number(process.env['WATCHDOG_USEC'] ?? 0) / 1000,
  })
}

/** A terminal that is closed takes the daemon with it, cleanly. A service has none, and reads again by itself what can be read again. */
function hangUp(stop: () => void, observer: Observer): () => void {
  if ([0, 1, 2].some((descriptor) => isatty(descriptor))) return stop
  return () => observer.event(lifecycleEvents.hangUpIgnored, {})
}

let lastResort: NodeJS.Timeout | null = null

/** When the process has not ended by then, it is ended: everything acknowledged is durable. */
function armLastResort(afterMs: number): void {
  if (lastResort !== null) clearTimeout(lastResort)
  lastResort = setTimeout(() => process.kill(process.pid, 'SIGKILL'), afterMs)
  lastResort.unref()
}
