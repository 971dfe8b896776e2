/**
 * The one place where everything is built: layers 1 to 7 on six ports, real or simulated. `main.ts` adds the operator's surfaces.
 */
import type { ApplianceStatus, HealthReport, ListenerStatus, Operations, WritesStatus } from './admin/operations.ts'
import type { Listener, Observer, Ports } from './base/ports.ts'
import type { Access } from './admin/access.ts'
import { openAccess } from './appliance-access.ts'
import { ApplianceAudit } from './appliance-audit.ts'
import { ApplianceSetUp } from './appliance-set-up.ts'
import { ApplianceSecurity } from './appliance-security.ts'
import { authorizerOf, featuresOf, quotasOf } from './appliance-cluster.ts'
import { Broker } from './broker/broker.ts'
import { InternalTopics } from './broker/internal-topics.ts'
import { recordLoss } from './broker/loss-ledger.ts'
import { TopicAdmin } from './broker/topic-admin.ts'
import { Cluster } from './cluster/cluster.ts'
import { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { NodeBudget } from './cluster/metadata/topic-budget.ts'
import type { ApplianceConfig } from './config.ts'
import {
  mirrorOptions,
  mqttDoorOptions,
  mqttListenerOptions,
  proxyOptions,
  scrubOptions,
  spaceOptions,
} from './config-rooms.ts'
import { partitionTableLog } from './coordinator/runtime/partition-table-log.ts'
import { ClockWatch } from './clock-watch.ts'
import { GroupCoordinator } from './coordinator/group/group-coordinator.ts'
import { groupOptionsOf } from './coordinator/group/group-options.ts'
import { auditedApis } from './ingest/kafka/audit/audited-apis.ts'
import { auditHandlers } from './ingest/kafka/audit/audited-handler.ts'
import { KafkaDoor } from './ingest/kafka/door.ts'
import { kafkaDoorOptionsOf } from './ingest/kafka/door-options.ts'
import { guardHandlers } from './ingest/kafka/guards/guard.ts'
import { guardTable } from './ingest/kafka/guards/guard-table.ts'
import type { HandlerEntry } from './ingest/kafka/handler.ts'
import { adminHandlers } from './ingest/kafka/handlers/admin-handlers.ts'
import { groupHandlers } from './ingest/kafka/handlers/group-handlers.ts'
import { recordHandlers } from './ingest/kafka/handlers/record-handlers.ts'
import { commandOffsetsOf } from './ingest/mqtt/command-offsets.ts'
import { openPayloadSchemas } from './ingest/mqtt/schema-files.ts'
import { openSparkplugCodec } from './ingest/mqtt/sparkplug-codec.ts'
import { MqttDoor } from './ingest/mqtt/mqtt-door.ts'
import { internalTopicList, offsetsTopicBy } from './internal-topic-list.ts'
import { brokerEndPoints } from './kafka-end-points.ts'
import { Lifecycle } from './lifecycle.ts'
import { LogDirectory } from './log/log-directory.ts'
import { compactionSettings } from './log-settings.ts'
import { logMetrics } from './log/log-metrics.ts'
import { MeteredDisk } from './log/metered-disk.ts'
import { Mirror } from './mirror/mirror.ts'
import { SpaceWatch } from './space-watch.ts'
import { writesStatusOf } from './write-status.ts'
import type { Authorizer } from './security/authorizer.ts'
import type { QuotaKeeper } from './security/quotas/quota-keeper.ts'
import { certificateNaming, principalOfPeer } from './security/principal.ts'

/** Topics that asking for them may create, in all: each costs files, memory and start time. */
const autoTopicsMax = 1_000
/** Open files that are left to connections and to the process itself. */
const connectionFiles = 256

export interface ApplianceFacts {
  readonly version: string
  /** True while the disk's writer makes no progress: the process is not live. */
  readonly isWriterStalled?: () => boolean
  /** What the process may keep open and in memory; without it topics are bounded by their number alone. */
  readonly limits?: { readonly openFiles: number; readonly heapBytes: number }
}

/** What `ready` needs to say. */
export interface ReadyFacts {
  /** `HOST:PORT` of the first listener of each protocol. */
  readonly kafka: string
  readonly mqtt: string
  readonly recoveryMs: number
}

export interface Appliance {
  readonly operations: Operations
  /** Hears what the audit must hear of, beside what the given one does. */
  readonly observer: Observer
  /** Who may do what at the operator's surfaces; null until the users are known. */
  access(): Access | null
  /** Resolves when clients are served; rejects with an ApplianceError or NetError when it cannot start, with everything closed again. */
  start(): Promise<ReadyFacts>
  /** A clean stop; safe to call at any time, also twice. */
  stop(): Promise<void>
}

export function createAppliance(config: ApplianceConfig, ports: Ports, facts: ApplianceFacts): Appliance {
  return new BuiltAppliance(config, ports, facts)
}

/** Everything that exists once the appliance runs. */
interface Rooms {
  readonly directory: LogDirectory
  readonly cluster: Cluster
  readonly coordinator: GroupCoordinator
  readonly kafkaDoor: KafkaDoor
  readonly mqttDoor: MqttDoor
  readonly mirror: Mirror
}

class BuiltAppliance implements Appliance {
  readonly operations: Operations
  readonly observer: Observer
  readonly #config: ApplianceConfig
  readonly #ports: Ports
  readonly #disk: MeteredDisk
  readonly #facts: ApplianceFacts
  readonly #settings: BrokerSettings
  readonly #lifecycle: Lifecycle
  readonly #security: ApplianceSecurity
  readonly #startedMs: number
  /** Names this run in the marks of records that are received while the time is not known. */
  readonly #bootId: string
  readonly #clockWatch: ClockWatch
  #rooms: Partial<Rooms> = {}
  #listeners: {
    readonly protocol: string
    readonly listener: Listener
    readonly advertised: string | null
    readonly connections: () => number
  }[] = []
  readonly #space: SpaceWatch
  readonly #audit: ApplianceAudit

  constructor(config: ApplianceConfig, ports: Ports, facts: ApplianceFacts) {
    this.#config = config
    this.#disk = new MeteredDisk(ports.disk, config.dataDir, ports.observer)
    this.#space = new SpaceWatch(ports.disk, ports.clock, config.dataDir)
    this.#audit = new ApplianceAudit(config, { ...ports, disk: this.#disk })
    this.observer = this.#audit.observer(ports.observer)
    this.#ports = { ...ports, disk: this.#disk, observer: this.observer }
    this.#facts = facts
    this.#settings = new BrokerSettings(config.kafka)
    this.#lifecycle = new Lifecycle(ports.observer)
    this.#security = new ApplianceSecurity(config, this.#settings, this.#ports, this.#audit.audit)
    this.#startedMs = ports.clock.monotonicMs()
    this.#bootId = Buffer.from(ports.entropy.bytes(8)).toString('hex')
    this.#clockWatch = new ClockWatch(ports, this.#bootId)
    this.operations = {
      status: () => this.#status(),
      health: () => this.#health(),
      mirrorStatus: () => this.#rooms.mirror?.status() ?? [],
      refreshGauges: () => this.#refreshGauges(),
    }
  }

  async start(): Promise<ReadyFacts> {
    await this.#lifecycle.start([
      { name: 'clock', start: () => this.#clockWatch.start(), stop: () => this.#clockWatch.stop() },
      { name: 'security', start: async () => {}, stop: () => this.#security.stop() },
      { name: 'log', start: () => this.#openLog(), stop: () => this.#closeLog() },
      { name: 'cluster', start: () => this.#openCluster(), stop: () => this.#rooms.cluster?.stop() },
      { name: 'audit', start: () => this.#startAudit(), stop: () => this.#audit.stop() },
      { name: 'access', start: () => this.#openAccess(), stop: () => undefined },
      { name: 'coordinator', start: () => this.#openCoordinator(), stop: () => this.#rooms.coordinator?.stop() },
      { name: 'mirror', start: () => this.#startMirror(), stop: () => this.#rooms.mirror?.stop() },
      { name: 'kafka', start: () => this.#openKafkaDoor(), stop: () => this.#rooms.kafkaDoor?.stop() },
      { name: 'mqtt', start: () => this.#openMqttDoor(), stop: () => this.#rooms.mqttDoor?.stop() },
    ])
    must(this.#setUp).watch()
    const recoveryMs = this.#rooms.directory?.recoveryMs ?? 0
    return { kafka: this.#placeOf('kafka'), mqtt: this.#placeOf('mqtt'), recoveryMs }
  }

  stop(): Promise<void> {
    return this.#lifecycle.stop()
  }

  access(): Access | null {
    return this.#access
  }

  // ------------------------------------------------------------------------------------------ building

  #authorizer: Authorizer | null = null
  #quotas: QuotaKeeper | null = null
  #broker: Broker | null = null
  #access: Access | null = null
  #setUp: ApplianceSetUp | null = null
  #topics: TopicAdmin | null = null
  readonly #internalTopics = (): InternalTopics =>
    (this.#internal ??= new InternalTopics(internalTopicList(this.#settings)))
  #internal: InternalTopics | null = null

  async #openLog(): Promise<void> {
    const settings = this.#settings
    const directory = await LogDirectory.open(
      {
        dataDir: this.#config.dataDir,
        nodeId: this.#config.node.id,
        space: spaceOptions(this.#config.disk),
        scrub: scrubOptions(this.#config.disk),
        retentionCheckIntervalMs: this.#settings.number('log.retention.check.interval.ms'),
        get producerExpirationMs() {
          return settings.number('producer.id.expiration.ms')
        },
        compaction: compactionSettings(settings),
      },
      this.#ports,
    )
    this.#rooms = { ...this.#rooms, directory }
    directory.onFailure((error) => this.#lifecycle.fail(error))
  }

  async #closeLog(): Promise<void> {
    await this.#rooms.directory?.close(this.#rooms.cluster?.brokerEpoch ?? -1)
  }

  async #openCluster(): Promise<void> {
    const directory = must(this.#rooms.directory)
    const internalTopics = this.#internalTopics()
    const cluster = await Cluster.open({
      directory,
      settings: this.#settings,
      ports: this.#ports,
      isInternal: (topic) => internalTopics.isInternal(topic),
      endPoints: brokerEndPoints(this.#config.listeners.kafka),
      budget: () => this.#budget(directory),
      configsOf: (topic) => internalTopics.definition(topic)?.configs ?? null,
    })
    this.#rooms = { ...this.#rooms, cluster }
    const { clock, observer } = this.#ports
    await this.#security.start(cluster)
    this.#authorizer = authorizerOf(this.#settings, cluster, this.#audit.audit)
    this.#quotas = quotasOf(this.#settings, cluster, clock)
    this.#topics = new TopicAdmin({ cluster, settings: this.#settings, clock, observer, internalTopics, autoTopicsMax })
    const broker = new Broker({
      cluster,
      settings: this.#settings,
      ports: this.#ports,
      topics: this.#topics,
      internalTopics,
      authorizer: this.#authorizer,
    })
    this.#broker = broker
    directory.onLoss((loss) => recordLoss(loss, broker, clock))
  }

  async #startAudit(): Promise<void> {
    this.#audit.start(must(this.#broker), must(this.#rooms.directory))
  }

  async #openAccess(): Promise<void> {
    const authorizer = must(this.#authorizer)
    const cluster = must(this.#rooms.cluster)
    const setUp = new ApplianceSetUp({
      config: this.#config,
      settings: this.#settings,
      authorizer,
      cluster,
      observer: this.observer,
      audit: this.#audit.audit,
      hasAudit: this.#audit.trail !== null,
      sasl: (mechanisms) => this.#security.sasl(mechanisms),
      doors: () => this.#doors(),
    })
    this.#setUp = setUp
    this.#access = await openAccess(must(this.#broker), this.#settings, {
      ports: this.#ports,
      authenticator: this.#security.authenticator,
      authorizer,
      credentials: cluster.image.credentials,
      audit: this.#audit.audit,
      setUp,
    })
  }

  #doors() {
    const { kafkaDoor, mqttDoor } = this.#rooms
    if (this.#lifecycle.phase !== 'serving' || kafkaDoor === undefined || mqttDoor === undefined) return null
    const listeners = (protocol: 'kafka' | 'mqtt'): readonly Listener[] =>
      this.#listeners.filter((each) => each.protocol === protocol).map(({ listener }) => listener)
    return { kafka: kafkaDoor, mqtt: mqttDoor, listeners }
  }

  async #openCoordinator(): Promise<void> {
    const { clock, compute, entropy, observer } = this.#ports
    const cluster = must(this.#rooms.cluster)
    const broker = must(this.#broker)
    const offsetsTopic = offsetsTopicBy(this.#settings)
    const coordinator = await GroupCoordinator.open({
      log: partitionTableLog(cluster.partitions, offsetsTopic.name, () => broker.topicPartitions(offsetsTopic.name)),
      createTopic: () => broker.ensureInternalTopic(offsetsTopic),
      clock,
      compute,
      entropy,
      observer,
      options: groupOptionsOf(this.#settings),
    })
    this.#rooms = { ...this.#rooms, coordinator }
    const forgetMissing = (): void =>
      coordinator.forgetMissingTopics((topic) => cluster.image.topic(topic) !== undefined)
    forgetMissing()
    broker.onTopicsChange(forgetMissing)
  }

  async #openKafkaDoor(): Promise<void> {
    const { net, clock, observer } = this.#ports
    const broker = must(this.#broker)
    const cluster = must(this.#rooms.cluster)
    const doorOptions = kafkaDoorOptionsOf(this.#settings, must(this.#quotas), () => featuresOf(cluster))
    const kafkaDoor = new KafkaDoor({
      net,
      clock,
      observer,
      handlers: new Map(
        this.#guarded(cluster, [
          ...recordHandlers(broker),
          ...adminHandlers({
            cluster,
            directory: must(this.#rooms.directory),
            settings: this.#settings,
            topics: must(this.#topics),
            internalTopics: this.#internalTopics(),
            ports: this.#ports,
          }),
          ...groupHandlers(must(this.#rooms.coordinator), {
            nodeId: this.#config.node.id,
            partitionCountOf: (topic) => broker.topicPartitions(topic),
          }),
        ]),
      ),
      options: { ...doorOptions, principalOf: this.#audit.naming(doorOptions.principalOf) },
    })
    this.#rooms = { ...this.#rooms, kafkaDoor }
    for (const [index, written] of must(this.#setUp).listeners.kafka.entries()) {
      const { listen, advertise, tls, saslMechanisms } = written
      const context = tls === null ? null : await this.#security.certificates.open(`kafka[${index}]`, tls)
      const listener = await kafkaDoor.listen(listen, {
        advertise,
        tls: context,
        sasl: this.#security.sasl(saslMechanisms),
        proxyProtocol: proxyOptions(written),
      })
      this.#listeners.push({
        protocol: 'kafka',
        listener,
        advertised: advertise === null ? null : `${advertise.host}:${advertise.port}`,
        connections: () => kafkaDoor.connectionCount,
      })
    }
  }

  #guarded(cluster: Cluster, handlers: readonly HandlerEntry[]): readonly HandlerEntry[] {
    const guarded = guardHandlers(handlers, guardTable(cluster.image), must(this.#authorizer))
    return auditHandlers(guarded, auditedApis, this.#audit.trail)
  }

  async #openMqttDoor(): Promise<void> {
    const broker = must(this.#broker)
    const naming = certificateNaming(this.#settings.text('ssl.principal.mapping.rules'))
    const metadataLengthMax = this.#settings.number('offset.metadata.max.bytes')
    const mqttDoor = new MqttDoor({
      ...this.#ports,
      ...(await openSparkplugCodec(this.#config.mqtt.sparkplug)),
      checks: await openPayloadSchemas(this.#config.mqtt.routes, this.#ports.disk),
      broker,
      commandOffsets: commandOffsetsOf(must(this.#rooms.coordinator), metadataLengthMax),
      options: mqttDoorOptions(this.#config.mqtt),
      bootId: this.#bootId,
      version: this.#facts.version,
      authenticator: this.#security.authenticator,
      authorizer: must(this.#authorizer),
      quotas: must(this.#quotas),
      principalOf: this.#audit.naming((peer) => principalOfPeer(peer, naming)),
    })
    this.#rooms = { ...this.#rooms, mqttDoor }
    broker.onTopicsChange(() => mqttDoor.onPartitionsChanged())
    for (const [index, written] of must(this.#setUp).listeners.mqtt.entries()) {
      const name = `mqtt[${index}]`
      const context = written.tls === null ? null : await this.#security.certificates.open(name, written.tls)
      const listener = await mqttDoor.listen(written.listen, mqttListenerOptions(written, name, context))
      const connections = (): number => mqttDoor.connectionsOf(name)
      this.#listeners.push({ protocol: 'mqtt', listener, advertised: null, connections })
    }
  }

  async #startMirror(): Promise<void> {
    const mirror = new Mirror({
      ports: this.#ports,
      broker: must(this.#broker),
      nodeSite: this.#config.node.site,
      nodeId: this.#config.node.id,
      bootId: this.#bootId,
      options: this.#config.mirrors.map(mirrorOptions),
    })
    this.#rooms = { ...this.#rooms, mirror }
    await mirror.start()
  }

  // ---------------------------------------------------------------------------------------- operations

  #placeOf(protocol: string): string {
    const first = this.#listeners.find((each) => each.protocol === protocol)?.listener
    return first === undefined ? '-' : (first.path ?? `${first.host}:${first.port}`)
  }

  #health(): HealthReport {
    const { phase, failure } = this.#lifecycle
    const reasons: string[] = []
    const isStalled = this.#facts.isWriterStalled?.() ?? false
    if (isStalled) reasons.push('the disk has not finished a write for a long time')
    if (failure !== null) reasons.push(`the data directory has failed: ${failure.message}`)
    const refusal = this.#rooms.directory?.space.refusal ?? null
    // Still ready: consumers are served, and producers are told to try again.
    if (refusal !== null && failure === null) reasons.push(`new data is refused: ${refusal}`)
    const held = this.#rooms.cluster?.hold.reason ?? null
    if (held !== null) reasons.push(`${held}: nothing is deleted until \`headwater recover confirm\``)
    if (phase !== 'serving' && failure === null) reasons.push(`the appliance is ${phase}`)
    // A failed directory does not heal by a restart of a process that still serves reads.
    return { live: !isStalled, ready: phase === 'serving' && !isStalled, reasons }
  }

  #status(): ApplianceStatus {
    const { directory, cluster, coordinator, mqttDoor, mirror } = this.#rooms
    const space = this.#space.look()
    let logBytes = 0
    for (const log of directory?.logs.values() ?? []) logBytes += log.sizeInBytes
    const broker = this.#broker
    return {
      phase: this.#lifecycle.phase,
      version: this.#facts.version,
      nodeId: this.#config.node.id,
      site: this.#config.node.site,
      clusterId: directory?.clusterId ?? '',
      directoryId: directory?.directoryId ?? '',
      dataDir: this.#config.dataDir,
      uptimeMs: Math.round(this.#ports.clock.monotonicMs() - this.#startedMs),
      listeners: this.#listeners.map(({ protocol, listener, advertised, connections }): ListenerStatus => {
        const { host, port, path } = listener
        return { protocol, host, port, path, advertised, connections: connections() }
      }),
      recovery: {
        wasClean: directory?.wasClean ?? false,
        isNew: directory?.isNew ?? false,
        recoveryMs: Math.round(directory?.recoveryMs ?? 0),
      },
      disk: { logBytes, freeBytes: space?.freeBytes ?? null, totalBytes: space?.totalBytes ?? null },
      clockTrusted: this.#ports.clock.wallTrusted(),
      held: cluster?.hold.reason ?? null,
      writes: this.#writes(),
      damage: directory?.damage ?? { ranges: 0, logs: [] },
      topics: cluster?.image.topicCount ?? 0,
      partitions: cluster?.image.partitionCount ?? 0,
      groups: coordinator?.groupCount ?? 0,
      mqttSessions: mqttDoor?.connectionCount ?? 0,
      commit: {
        commits: directory?.commitFigures.commits ?? 0,
        journalCommits: directory?.commitFigures.journalCommits ?? 0,
        committedBytes: directory?.commitFigures.committedBytes ?? 0,
        pendingBytes: (directory?.queuedBytes ?? 0) + (broker?.pendingBytes ?? 0),
      },
      mirrors: mirror?.status() ?? [],
    }
  }

  /** What a new topic has to fit into. */
  #budget(directory: LogDirectory): NodeBudget | null {
    const { limits } = this.#facts
    if (limits === undefined) return null
    const { budgetBytes } = directory.space
    return {
      descriptors: limits.openFiles - connectionFiles,
      // The other half is for clients, reads and the tail.
      memoryBytes: Math.floor(limits.heapBytes / 2),
      diskBytes: Number.isFinite(budgetBytes) ? budgetBytes : null,
    }
  }

  #writes(): WritesStatus {
    return writesStatusOf(this.#disk, {
      committedBytes: this.#rooms.directory?.commitFigures.committedBytes ?? 0,
      uptimeMs: this.#ports.clock.monotonicMs() - this.#startedMs,
      ratedBytes: this.#config.disk.ratedWrites === 0 ? null : this.#config.disk.ratedWrites,
    })
  }

  #refreshGauges(): void {
    const { amplification, lifetimeDays } = this.#writes()
    this.#ports.observer.set(logMetrics.writeAmplification, amplification ?? 0)
    this.#ports.observer.set(logMetrics.mediumLifetimeSeconds, (lifetimeDays ?? 0) * 86_400)
    this.#ports.observer.set(logMetrics.damagedRangesNow, this.#rooms.directory?.damage.ranges ?? 0)
    this.#rooms.coordinator?.refreshGauges()
    this.#rooms.kafkaDoor?.refreshGauges()
    this.#rooms.mirror?.refreshGauges()
  }
}

function must<T>(room: T | null | undefined): T {
  if (room === null || room === undefined) throw new Error('a room is used before it is open')
  return room
}
