/** A simulated host with the MQTT door on it, and clients that speak through mqtt-packet. */
import mqttPacket, { type Packet, type Parser } from 'mqtt-packet'
import type { Connection, ListenAddress, Ports } from '../../../src/base/ports.ts'
import type { Partition } from '../../../src/cluster/partition/partition.ts'
import type { Broker } from '../../../src/broker/broker.ts'
import { GroupCoordinator } from '../../../src/coordinator/group/group-coordinator.ts'
import { groupOptionDefaults } from '../../../src/coordinator/group/group-options.ts'
import type { FetchedOffset } from '../../../src/coordinator/group/group-requests.ts'
import { offsetsTopic } from '../../../src/coordinator/group/offsets-topic.ts'
import { partitionTableLog } from '../../../src/coordinator/runtime/partition-table-log.ts'
import { commandOffsetsOf } from '../../../src/ingest/mqtt/command-offsets.ts'
import { mqttSessionsTopic } from '../../../src/ingest/mqtt/packet-id-log.ts'
import type { MqttListenerOptions } from '../../../src/ingest/mqtt/listener-options.ts'
import { MqttDoor } from '../../../src/ingest/mqtt/mqtt-door.ts'
import { noPayloadChecks, type PayloadChecks } from '../../../src/ingest/mqtt/payload-check.ts'
import { type MqttDoorOptions, mqttDoorDefaults } from '../../../src/ingest/mqtt/mqtt-options.ts'
import { sparkplugCodec } from '../../../src/protocol/sparkplug/payload-codec.ts'
import { batchLastOffset, batchRecordCount, forEachBatch } from '../../../src/protocol/records/record-batch.ts'
import { forEachRecord } from '../../../src/protocol/records/record.ts'
import type { Authorizer } from '../../../src/security/authorizer.ts'
import { Authenticator } from '../../../src/security/authenticator.ts'
import { ClientQuotas } from '../../../src/security/quotas/client-quotas.ts'
import { QuotaKeeper } from '../../../src/security/quotas/quota-keeper.ts'
import { ScramCredentials } from '../../../src/security/scram-credentials.ts'
import type { LogConfig } from '../../../src/log/log-config.ts'
import { readableTokens } from '../../security/tokens/readable-keys.ts'
import type { SimHost } from '../../sim/host.ts'
import { type SimWorld, simWorld } from '../../sim/world.ts'
import { type BrokerWorld, openBroker } from './broker-world.ts'

const port = 1883

export interface StoredRecord {
  readonly key: string
  readonly value: string
  readonly headers: readonly string[]
}

export class DoorWorld {
  readonly world: SimWorld
  readonly host: SimHost
  readonly options: MqttDoorOptions
  /** Schemas of routes; set before a start. */
  checks: PayloadChecks = noPayloadChecks
  /** Users of listeners that ask for them. */
  readonly credentials = new ScramCredentials()
  /** Quotas of clients and addresses. */
  readonly quotas = new ClientQuotas()
  private readonly clientPorts: Ports
  private readonly listener: MqttListenerOptions
  private readonly authorizer: Authorizer | undefined
  private running: {
    readonly rooms: BrokerWorld
    readonly door: MqttDoor
    readonly coordinator: GroupCoordinator | null
  } | null = null

  private constructor(
    seed: number,
    options: Partial<MqttDoorOptions>,
    listener: MqttListenerOptions,
    authorizer?: Authorizer,
  ) {
    this.authorizer = authorizer
    this.world = simWorld(seed)
    this.host = this.world.host('edge')
    this.clientPorts = this.world.host('field').boot()
    this.options = { ...mqttDoorDefaults, ...options }
    this.listener = listener
  }

  /** A world whose door listens. */
  static async start(
    options: Partial<MqttDoorOptions> = {},
    seed = 1,
    listener: MqttListenerOptions = {},
    authorizer?: Authorizer,
    checks: PayloadChecks = noPayloadChecks,
  ): Promise<DoorWorld> {
    const created = new DoorWorld(seed, options, listener, authorizer)
    created.checks = checks
    await created.boot()
    return created
  }

  async boot(): Promise<void> {
    const ports = this.host.boot()
    const rooms = await this.settle(openBroker('/data', ports))
    const { broker } = rooms
    const { net, clock, entropy, compute, observer } = ports
    const coordinator =
      this.options.commandRoutes.length === 0 ? null : await this.settle(openCoordinator(broker, ports))
    const door = new MqttDoor({
      net,
      clock,
      entropy,
      compute,
      observer,
      broker,
      options: this.options,
      ...(this.authorizer === undefined ? {} : { authorizer: this.authorizer }),
      checks: this.checks,
      sparkplugCodec,
      ...(coordinator === null ? {} : { commandOffsets: commandOffsetsOf(coordinator, 4096) }),
      version: '1.2.3',
      bootId: 'b001',
      quotas: new QuotaKeeper(this.quotas, clock, { samples: 11, sampleMs: 1000 }),
      authenticator: new Authenticator({
        ...ports,
        credentials: this.credentials,
        failureDelayMs: () => 100,
        tokens: readableTokens(clock),
      }),
    })
    broker.onTopicsChange(() => door.onPartitionsChanged())
    await this.settle(door.listen({ host: '0.0.0.0', port }, this.listener))
    this.running = { rooms, door, coordinator }
  }

  get broker(): Broker {
    return this.rooms.broker
  }

  get door(): MqttDoor {
    if (this.running === null) throw new Error('not running')
    return this.running.door
  }

  private get rooms(): BrokerWorld {
    if (this.running === null) throw new Error('not running')
    return this.running.rooms
  }

  /** A client that subscribes, and has been told so. */
  async subscribed(
    connect: Parameters<DoorWorld['connect']>,
    ...filters: readonly (string | Record<string, unknown>)[]
  ): Promise<TestClient> {
    const client = await this.connect(...connect)
    client.subscribe(1, ...filters)
    await client.until('suback')
    return client
  }

  /** What a Kafka client would do: one batch to one partition. */
  produce(topic: string, index: number, batch: Uint8Array): void {
    const partition = this.broker.partitions.get(topic, index)
    if (partition === undefined) throw new Error(`no ${topic}-${index}`)
    const [outcome] = this.broker.partitions.appendSet([{ partition, batch, origin: 'client', recordsChecked: true }])
    if (outcome?.kind !== 'appended') throw new Error(JSON.stringify(outcome))
  }

  /** Settings of a topic's logs that an administrator could make. */
  configure(topic: string, config: Partial<LogConfig>): void {
    for (const { topic: name, log } of this.broker.partitions.values()) {
      if (name === topic) log.updateConfig({ ...log.config, ...config })
    }
  }

  /** A retention pass. */
  async retain(): Promise<void> {
    await this.settle(this.rooms.directory.retain())
  }

  /** A pass of compaction. */
  async compact(): Promise<void> {
    await this.settle(this.rooms.directory.compactor.compact())
  }

  /** Deletes a topic as an administrator would. */
  async deleteTopic(name: string): Promise<void> {
    await this.settle(this.rooms.topics.delete({ name, topicId: null }, 5000))
  }

  /** What the group of a command route shows for a partition. */
  committed(group: string, topic: string, partition: number): number {
    const coordinator = this.running?.coordinator
    const found = coordinator?.fetchOffsets({
      groupId: group,
      topics: [{ topic, partitions: [partition] }],
      requireStable: false,
    })
    return Array.isArray(found) ? ((found as readonly FetchedOffset[])[0]?.offset ?? -1) : -1
  }

  /** A clean stop of the door and of the log. */
  async stop(): Promise<void> {
    await this.settle(this.door.stop())
    this.running?.coordinator?.stop()
    await this.settle(this.rooms.directory.close())
  }

  /** `kill -9` and a new start. */
  async restart(): Promise<void> {
    this.host.kill()
    this.running = null
    await this.boot()
  }

  /** A clean stop and a new start. */
  async stopAndStart(): Promise<void> {
    await this.stop()
    await this.restart()
  }

  /** The power goes and comes back: what was not synced is lost. */
  async powerCut(): Promise<void> {
    this.host.powerCut()
    this.running = null
    await this.boot()
  }

  /** Runs the world until the promise has settled. */
  settle<T>(promise: Promise<T>): Promise<T> {
    return this.world.settle(promise)
  }

  runFor(ms: number): Promise<void> {
    return this.world.runFor(ms)
  }

  /** An open connection of a client that has sent nothing yet, from the host `field` unless another one is given. */
  async open(level: 3 | 4 | 5 = 4, from = this.clientPorts): Promise<TestClient> {
    const address: ListenAddress = { host: 'edge', port }
    const connection = await this.settle(from.net.connect(address, 5000))
    return new TestClient(this, connection, level)
  }

  /** A client whose CONNECT was accepted; `look` has not been called. */
  async connect(clientId: string, level: 3 | 4 | 5 = 4, connect: Record<string, unknown> = {}): Promise<TestClient> {
    const client = await this.open(level)
    client.sendConnect(clientId, connect)
    await client.until('connack')
    return client
  }

  /** Steps a millisecond at a time, 100 ms for what is under way, and then on until more is known of the sessions durably: places are written. */
  async untilSessionsAreWritten(limitMs: number, react: () => void): Promise<void> {
    const written = (): number =>
      [...this.broker.partitions.values()]
        .filter(({ topic }) => topic === mqttSessionsTopic.name)
        .reduce((sum, { highWatermark }) => sum + highWatermark, 0)
    for (let passed = 0, before = written(); passed < limitMs; passed += 1) {
      react()
      await this.runFor(1)
      if (written() > before && passed > 100) return
      before = written()
    }
  }

  /** Where the partitions of a topic end. */
  ends(topic: string): ReadonlyMap<Partition, number> {
    const own = [...this.broker.partitions.values()].filter((partition) => partition.topic === topic)
    return new Map(own.map((partition) => [partition, partition.highWatermark]))
  }

  /** How many records each batch of a topic has, from these places on: what one turn of the loop has written to a partition is a batch. */
  async batchSizes(topic: string, from: ReadonlyMap<Partition, number>): Promise<number[]> {
    const sizes: number[] = []
    for (const [partition, end] of this.ends(topic)) {
      for (let at = from.get(partition) ?? 0; at < end; ) {
        const read = await this.settle(this.broker.readTailCold(partition, at, 1_000_000))
        if (read.kind !== 'batches') throw new Error(read.kind)
        forEachBatch(read.bytes, (bytes, batchAt) => {
          sizes.push(batchRecordCount(bytes, batchAt))
          at = batchLastOffset(bytes, batchAt) + 1
        })
      }
    }
    return sizes
  }

  /** Every committed record of a topic, partition by partition, or of one of them. */
  async records(topic: string, index?: number): Promise<StoredRecord[]> {
    const found: StoredRecord[] = []
    for (const partition of this.broker.partitions.values()) {
      if (partition.topic !== topic || (index !== undefined && partition.index !== index)) continue
      for (let at = partition.log.logStartOffset; at < partition.highWatermark; ) {
        const read = await this.settle(this.broker.readTailCold(partition, at, 1_000_000))
        if (read.kind !== 'batches') throw new Error(read.kind)
        forEachBatch(read.bytes, (bytes, batchAt) =>
          forEachRecord(bytes, batchAt, (record) => {
            at = record.offset + 1
            const text = (value: Uint8Array | null): string => (value === null ? 'null' : Buffer.from(value).toString())
            const headers = record.headers.map(({ key, value }) => `${key}=${text(value)}`)
            found.push({ key: text(record.key), value: text(record.value), headers })
          }),
        )
      }
    }
    return found
  }

  /** Values of a topic's records, sorted: the order between partitions means nothing. */
  async values(topic: string): Promise<string> {
    return (await this.records(topic))
      .map(({ value }) => value)
      .toSorted()
      .join(' ')
  }
}

/** One client; everything it hears is kept as short text. */
export class TestClient {
  readonly heard: string[] = []
  readonly packets: Packet[] = []
  isClosed = false
  private readonly door: DoorWorld
  private readonly connection: Connection
  private readonly level: 3 | 4 | 5
  private readonly parser: Parser
  private isReading = true

  constructor(door: DoorWorld, connection: Connection, level: 3 | 4 | 5) {
    this.door = door
    this.connection = connection
    this.level = level
    this.parser = mqttPacket.parser({ protocolVersion: level })
    this.parser.on('packet', (packet) => {
      this.packets.push(packet)
      this.heard.push(textOf(packet))
    })
    connection.start({
      onBytes: (bytes) => void this.parser.parse(Buffer.from(bytes)),
      onClose: () => {
        this.isClosed = true
        this.heard.push('closed')
      },
    })
  }

  sendBytes(...chunks: Uint8Array[]): void {
    this.connection.send(chunks.map((chunk) => Buffer.from(chunk)))
  }

  send(...packets: Record<string, unknown>[]): void {
    const options = { protocolVersion: this.level }
    this.sendBytes(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet as unknown as Packet, options))))
  }

  sendConnect(clientId: string, connect: Record<string, unknown> = {}): void {
    const protocolId = this.level === 3 ? 'MQIsdp' : 'MQTT'
    const base = { cmd: 'connect', protocolId, protocolVersion: this.level, clean: true, keepalive: 0, clientId }
    this.send({ ...base, ...connect })
  }

  publish(topic: string, payload: string, qos: 0 | 1 | 2 = 0, messageId = 0, more: Record<string, unknown> = {}): void {
    this.send({ cmd: 'publish', topic, payload, qos, messageId, dup: false, retain: false, ...more })
  }

  subscribe(messageId: number, ...filters: (string | Record<string, unknown>)[]): void {
    const subscriptions = filters.map((filter) => (typeof filter === 'string' ? { topic: filter, qos: 1 } : filter))
    this.send({ cmd: 'subscribe', messageId, subscriptions: subscriptions.map((each) => ({ qos: 1, ...each })) })
  }

  puback(messageId: number): void {
    this.send({ cmd: 'puback', messageId })
  }

  pubrel(messageId: number): void {
    this.send({ cmd: 'pubrel', messageId, qos: 1 })
  }

  /** Stops reading: what the server sends piles up. */
  stopReading(): void {
    this.isReading = false
    this.connection.pause()
  }

  goOnReading(): void {
    this.isReading = true
    this.connection.resume()
  }

  get reads(): boolean {
    return this.isReading
  }

  /** The network goes without a word. */
  drop(): void {
    this.connection.destroy()
  }

  /** Runs the world until something heard begins with `text`. */
  async until(text: string, limitMs = 60_000): Promise<void> {
    await this.door.world.run(() => this.heard.some((line) => line.startsWith(text)), limitMs)
  }

  /** Runs the world for a while and answers what was heard since the last look. */
  async look(ms = 100): Promise<string> {
    await this.door.runFor(ms)
    return this.heard.splice(0).join(', ')
  }
}

function textOf(packet: Packet): string {
  const of = packet as unknown as Record<string, unknown>
  const id = of['messageId'] === undefined ? '' : `#${of['messageId']}`
  const reason =
    typeof of['reasonCode'] === 'number' && of['reasonCode'] !== 0 ? ` 0x${of['reasonCode'].toString(16)}` : ''
  switch (packet.cmd) {
    case 'connack': {
      const code = of['reasonCode'] ?? of['returnCode']
      return `connack ${Number(code) >= 0x80 ? `0x${Number(code).toString(16)}` : code}${of['sessionPresent'] === true ? ' present' : ''}`
    }
    case 'publish': {
      const flags = `${of['dup'] === true ? '!' : ''}${of['retain'] === true ? 'r' : ''}`
      return `publish${Number(of['qos']) > 0 ? id : ''}${flags} ${packet.topic}=${String(packet.payload)}`
    }
    case 'suback':
    case 'unsuback': {
      const granted = (of['granted'] as number[] | undefined) ?? []
      return `${packet.cmd}${id}${granted.map((code) => ` ${code >= 0x80 ? `0x${code.toString(16)}` : code}`).join('')}`
    }
    default:
      return `${packet.cmd}${id}${reason}`
  }
}

/** The coordinator over the broker's own topic, as the appliance builds it. */
async function openCoordinator(
  broker: Broker,
  { clock, entropy, compute, observer }: Ports,
): Promise<GroupCoordinator> {
  const { name } = offsetsTopic
  return GroupCoordinator.open({
    log: partitionTableLog(broker.partitions, name, () => broker.topicPartitions(name)),
    createTopic: () => broker.ensureInternalTopic(offsetsTopic),
    clock,
    compute,
    entropy,
    observer,
    options: groupOptionDefaults,
  })
}
