/**
 * One life of a node as far as its durable bytes go: the log engine and the cluster above it, production code both, and the clients
 * that use it. What the clients are told goes into the model.
 */
import type { AppendOutcome } from '../../src/log/append.ts'
import { Cluster } from '../../src/cluster/cluster.ts'
import { BrokerSettings } from '../../src/cluster/metadata/broker-config.ts'
import type { Partition } from '../../src/cluster/partition/partition.ts'
import type { PartitionAppend } from '../../src/cluster/partition/partition-table.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { RecordBatchBuilder } from '../../src/protocol/records/record-batch-builder.ts'
import type { Prng } from '../sim/prng.ts'
import { Broken } from './judge.ts'
import { type LogKind, type Model, type ModelBatch, ModelLog, type ModelRecord } from './model.ts'
import { logConfigOf, type Settings } from './settings.ts'
import type { Stage } from './stage.ts'

const producerIds = [77, 78] as const
const keysMax = 6
/** So large that a commit syncs the file directly. */
const hugeBytes = 310_000
/** What is under way when the budget is reached, the node's own records, and files that are being replaced. */
const overBudgetBytesMax = 24_000

export class Life {
  readonly directory: LogDirectory
  readonly #stage: Stage
  readonly #settings: Settings
  readonly #model: Model
  readonly #prng: Prng
  /** Null where no log is ever relaxed. */
  readonly #flushPrng: Prng | null
  #cluster: Cluster | null = null
  #broken: Broken | null = null
  /** As they were found, those that have been deleted since among them: a full disk may have cost them records before. */
  readonly #found: ReadonlyMap<string, UnifiedLog>
  /** Calls that have not been answered. */
  #open = 0

  constructor(directory: LogDirectory, stage: Stage, settings: Settings, model: Model, prng: Prng) {
    this.directory = directory
    this.#stage = stage
    this.#settings = settings
    this.#model = model
    this.#prng = prng
    this.#flushPrng = settings.kinds.includes('relaxed') ? prng.fork('flush') : null
    this.#found = new Map(directory.logs)
    directory.onLoss(() => Promise.resolve(true))
  }

  static openDirectory(stage: Stage, settings: Settings): Promise<LogDirectory> {
    return LogDirectory.open(settings.directory, stage.ports)
  }

  /** A promise that was broken in the open, or null. */
  get broken(): Broken | null {
    return this.#broken
  }

  /** Something was asked for and not answered yet. */
  get isBusy(): boolean {
    return this.#open > 0
  }

  /** The cluster comes up; then topics are what they were, and no epoch of before is used again. */
  async openCluster(): Promise<void> {
    const { ports } = this.#stage
    const cluster = await Cluster.open({
      directory: this.directory,
      settings: new BrokerSettings(new Map()),
      ports,
      isInternal: (topic) => topic.startsWith('__'),
      endPoints: [{ name: 'PLAINTEXT', host: 'edge', port: 9092, securityProtocol: 0 }],
    })
    this.#cluster = cluster
    const model = this.#model
    for (const topic of model.changing) {
      const partition = cluster.partitions.get(topic, 0)
      // Created, and without room for its log: it may come any time.
      if (partition === undefined && cluster.image.topic(topic) !== undefined && this.directory.space.refusal !== null)
        continue
      model.changing.delete(topic)
      if (model.leaving.delete(topic) && partition !== undefined) throw new Broken(`${topic} was deleted and is back`)
      if (partition === undefined) {
        model.logs.delete(topic)
        model.gone.add(topic)
      } else if (!model.logs.has(topic)) {
        if (partition.log.logEndOffset > 0) throw new Broken(`${topic} is new and not empty`)
        model.logs.set(topic, new ModelLog(topic, topic as LogKind))
      }
    }
    for (const topic of model.gone) {
      if (cluster.partitions.get(topic, 0) !== undefined) throw new Broken(`${topic} was deleted and is served`)
    }
    for (const log of model.logs.values()) {
      const partition = cluster.partitions.get(log.topic, 0)
      if (partition === undefined) throw new Broken(`${log.topic} was created and is not served`)
      if (!this.directory.wasClean && partition.leaderEpoch <= log.epochMax) {
        throw new Broken(`${log.topic}: epoch ${partition.leaderEpoch} is used again after an unclean stop`)
      }
      this.#serve(log, partition)
    }
  }

  /** Clients do something. */
  act(): void {
    const { isShortOfSpace } = this.#settings
    if (this.#flushPrng?.chance(0.06)) this.#changeFlush()
    if (this.#prng.chance(this.#settings.compactionShare)) return this.#track(this.directory.compactor.compact())
    const draw = this.#prng.below(100)
    if (draw < 62) this.append()
    else if (draw < 68) this.#resend()
    else if (draw < 71) this.#skipAhead()
    else if (draw < 76) this.#deleteRecords()
    else if (draw < 81) this.#track(this.directory.retain())
    else if (draw < 87) this.#track(this.directory.compactor.compact())
    else if (draw < 91) this.#createTopic()
    else if (draw < 92) this.#deleteTopic()
    else if (draw < 95) this.#stage.clock.runTimer(60_000)
    else if (draw < 97 && isShortOfSpace) this.#squeeze()
    else if (draw < 99 && isShortOfSpace) this.liftLimit()
    else this.#track(this.directory.checkSpace())
  }

  append(): void {
    const partitions = this.#partitions()
    if (partitions.length === 0) return this.#createTopic()
    const set = ++this.#model.sets
    const first = this.#prng.below(partitions.length)
    const count = this.#prng.chance(0.5) ? 1 : 1 + this.#prng.below(partitions.length)
    const chosen = partitions.slice(first, first + count)
    const drafts = chosen.map((partition) => this.#draft(partition, set))
    const outcomes = this.#table().appendSet(drafts.map(({ entry }) => entry))
    drafts.forEach((draft, index) => this.#note(draft, outcomes[index]))
  }

  /** The room of the disk is what it wants to be again. */
  liftLimit(): void {
    this.#stage.disk.image.capacityBytes = Number.POSITIVE_INFINITY
  }

  /** A clean stop. Resolves with whether it was one. */
  async close(): Promise<boolean> {
    await this.#cluster?.controller.idle()
    await this.directory.close(this.#cluster?.brokerEpoch ?? -1)
    if (this.directory.failure !== null) return false
    for (const { log, model } of this.#logs()) {
      model.acknowledgedEnd = log.logEndOffset
      model.writtenEnd = log.logEndOffset
    }
    return true
  }

  /** What the engine says of itself is a promise too. */
  noteEnds(): void {
    for (const model of this.#model.logs.values()) {
      const key = `${model.topic}-0`
      const log = this.directory.logs.get(key)
      model.startMax = Math.max(model.startMax, (log ?? this.#found.get(key))?.logStartOffset ?? 0)
      if (log === undefined) continue
      model.acknowledgedEnd = Math.max(model.acknowledgedEnd, Math.min(log.durableEndOffset, model.end))
    }
    for (const topic of this.#model.changing) {
      const isLeft = this.#model.logs.has(topic) && this.#cluster?.image.topic(topic) === undefined
      if (isLeft && this.#cluster !== null) this.#model.leaving.add(topic)
    }
    const { budgetBytes } = this.#settings
    const { usedBytes } = this.#stage.disk.image
    if (budgetBytes !== null && usedBytes > budgetBytes + overBudgetBytesMax) {
      this.#break(`the directory takes ${usedBytes} bytes, its budget is ${budgetBytes}`)
    }
    if (this.#broken !== null) throw this.#broken
  }

  #logs(): { readonly log: Partition['log']; readonly model: ModelLog }[] {
    const found = []
    for (const model of this.#model.logs.values()) {
      const log = this.directory.logs.get(`${model.topic}-0`)
      if (log !== undefined && !this.#model.changing.has(model.topic)) found.push({ log, model })
    }
    return found
  }

  #table(): Cluster['partitions'] {
    return (this.#cluster as Cluster).partitions
  }

  /** Partitions that are there for certain. */
  #partitions(): Partition[] {
    const partitions: Partition[] = []
    for (const topic of this.#model.logs.keys()) {
      const partition = this.#cluster?.partitions.get(topic, 0)
      if (partition !== undefined && !this.#model.changing.has(topic)) partitions.push(partition)
    }
    return partitions
  }

  #modelOf(partition: Partition): ModelLog {
    return this.#model.logs.get(partition.topic) as ModelLog
  }

  #serve(model: ModelLog, partition: Partition): void {
    partition.log.updateConfig(logConfigOf(model.kind, this.#settings))
  }

  #draft(partition: Partition, set: number): Draft {
    const model = this.#modelOf(partition)
    const producerId = this.#prng.pick(producerIds)
    const next = model.sequences.get(producerId) ?? { epoch: 0, sequence: 0 }
    model.sequences.set(producerId, next)
    if (next.sequence > 0 && this.#prng.chance(0.02)) {
      next.epoch++
      next.sequence = 0
    }
    const isHuge = model.kind === 'large' && this.#settings.budgetBytes === null && this.#prng.chance(0.03)
    const isLong = isHuge || this.#prng.chance(0.08)
    const count = isLong ? 1 : 1 + this.#prng.below(3)
    const records: Omit<ModelRecord, 'offset'>[] = []
    const builder = new RecordBatchBuilder({ initialBytes: 512 })
    for (let index = 0; index < count; index++) {
      const key = `k${this.#prng.below(keysMax)}`
      const isTombstone = model.kind === 'compacted' && this.#prng.chance(0.25)
      const text = `${++this.#model.payloads}`.padEnd(isHuge ? hugeBytes : isLong ? 1500 : this.#prng.below(300), 'x')
      const value = isTombstone ? null : text
      records.push({ key, value })
      const timestampMs = 1_000_000 + this.#model.payloads
      builder.append(timestampMs, Buffer.from(key), value === null ? null : Buffer.from(value), null)
    }
    const fields = { producerId, producerEpoch: next.epoch, baseSequence: next.sequence }
    const batch = builder.build(fields)
    return { entry: { partition, batch, origin: 'client' }, fields, records, set }
  }

  #note({ entry, fields, records, set }: Draft, outcome: AppendOutcome | undefined): void {
    const { partition, batch } = entry
    if (outcome?.kind === 'refused' && this.#mayRefuse()) return
    if (outcome?.kind !== 'appended')
      return this.#break(`${partition.topic}: ${JSON.stringify(outcome)} for a good append`)
    const model = this.#modelOf(partition)
    const { baseOffset } = outcome
    const endOffset = outcome.lastOffset + 1
    if (baseOffset !== model.end) this.#break(`${partition.topic}: offset ${baseOffset} is given, ${model.end} is due`)
    const { producerId, producerEpoch, baseSequence } = fields
    const added: ModelBatch = {
      baseOffset,
      endOffset,
      bytes: batch,
      set,
      producerId,
      producerEpoch,
      baseSequence,
      lastSequence: baseSequence + records.length - 1,
      records: records.map((record, index) => ({ offset: baseOffset + index, ...record })),
      appendedMs: this.#stage.clock.nowMs,
    }
    model.batches.push(added)
    model.sequences.set(producerId, { epoch: producerEpoch, sequence: added.lastSequence + 1 })
    model.epochMax = Math.max(model.epochMax, partition.leaderEpoch)
    this.#open++
    partition.whenHighWatermark(endOffset, (error) => {
      this.#open--
      if (error !== null) return
      model.writtenEnd = Math.max(model.writtenEnd, endOffset)
      if (partition.log.config.flush !== 'relaxed') model.acknowledgedEnd = Math.max(model.acknowledgedEnd, endOffset)
    })
  }

  /** A batch that was appended is sent again: its first offset is the answer (I7). */
  #resend(): void {
    const partition = this.#anyPartition()
    if (partition === null) return
    const model = this.#modelOf(partition)
    const producerId = this.#prng.pick(producerIds)
    const own = model.batches.filter((batch) => batch.producerId === producerId)
    const recent = own.filter((batch) => batch.producerEpoch === own.at(-1)?.producerEpoch).slice(-5)
    if (recent.length === 0) return
    // Compaction may have dropped those before the newest, but for what memory knows.
    const chosen = model.kind === 'compacted' ? recent.at(-1) : this.#prng.pick(recent)
    const known = chosen as ModelBatch
    const batch = known.bytes.slice()
    batch.fill(0, 0, 8)
    const [outcome] = this.#table().appendSet([{ partition, batch, origin: 'client' }])
    if (outcome?.kind === 'refused' && this.#mayRefuse()) return
    if (outcome?.kind !== 'duplicate' || outcome.baseOffset !== known.baseOffset) {
      this.#break(
        `${partition.topic}: the batch at ${known.baseOffset} sent again is answered ${JSON.stringify(outcome)}`,
      )
    }
  }

  /** A sequence that leaves a gap must be refused. */
  #skipAhead(): void {
    const partition = this.#anyPartition()
    if (partition === null) return
    const model = this.#modelOf(partition)
    const [producerId, next] = [...model.sequences][0] ?? []
    if (producerId === undefined || next === undefined || next.sequence === 0) return
    if (model.batches.findLast((batch) => batch.producerId === producerId)?.producerEpoch !== next.epoch) return
    const builder = new RecordBatchBuilder({ initialBytes: 128 })
    builder.append(1_000_000, Buffer.from('k0'), Buffer.from('early'), null)
    const batch = builder.build({ producerId, producerEpoch: next.epoch, baseSequence: next.sequence + 7 })
    const [outcome] = this.#table().appendSet([{ partition, batch, origin: 'client' }])
    if (outcome?.kind !== 'refused') this.#break(`${partition.topic}: a gap of sequences is ${JSON.stringify(outcome)}`)
  }

  #deleteRecords(): void {
    const partition = this.#anyPartition()
    if (partition === null || partition.topic === 'compacted') return
    const model = this.#modelOf(partition)
    const { log } = partition
    const room = log.highWatermark - log.logStartOffset
    if (room <= 0) return
    const offset = log.logStartOffset + 1 + this.#prng.below(room)
    model.startMax = Math.max(model.startMax, offset)
    const answered = log.deleteRecordsBefore(offset).then((start) => {
      model.acknowledgedStart = Math.max(model.acknowledgedStart, start)
    })
    this.#track(answered)
  }

  #createTopic(): void {
    const missing = this.#settings.kinds.filter(
      (kind) => !this.#model.logs.has(kind) && !this.#model.changing.has(kind),
    )
    if (missing.length === 0 || this.#cluster === null) return
    const topic = this.#prng.pick(missing)
    const model = this.#model
    model.gone.delete(topic)
    model.changing.add(topic)
    const creation = {
      name: topic,
      partitions: 1,
      replicationFactor: -1,
      assignments: [],
      configs: new Map<string, string>(),
      owner: 'client' as const,
    }
    const created = this.#cluster.createTopic(creation).then((outcome) => {
      const partition = this.#cluster?.partitions.get(topic, 0)
      if (outcome.kind !== 'done' || partition === undefined) return
      const log = new ModelLog(topic, topic)
      model.logs.set(topic, log)
      model.changing.delete(topic)
      this.#serve(log, partition)
    })
    this.#track(created)
  }

  #deleteTopic(): void {
    const partition = this.#anyPartition()
    if (partition === null || this.#cluster === null) return
    const { topic, topicId } = partition
    const model = this.#model
    model.changing.add(topic)
    const deleted = this.#cluster.deleteTopic(topicId).then((outcome) => {
      if (outcome.kind !== 'done') return
      model.logs.delete(topic)
      model.changing.delete(topic)
      model.leaving.delete(topic)
      model.gone.add(topic)
    })
    this.#track(deleted)
  }

  /** What is answered from now on is durable, or is not any more. */
  #changeFlush(): void {
    const log = this.#cluster?.partitions.get('relaxed', 0)?.log
    if (log === undefined || this.#model.changing.has('relaxed')) return
    log.updateConfig({ ...log.config, flush: log.config.flush === 'relaxed' ? 'commit' : 'relaxed' })
  }

  /** The disk has little room left from now on. */
  #squeeze(): void {
    const { image } = this.#stage.disk
    image.capacityBytes = image.usedBytes + this.#prng.pick([0, 600, 5000, 30_000])
  }

  #anyPartition(): Partition | null {
    const partitions = this.#partitions()
    return partitions.length === 0 ? null : this.#prng.pick(partitions)
  }

  #mayRefuse(): boolean {
    const { failure, space } = this.directory
    if (failure !== null) return true
    return this.#settings.isShortOfSpace && (space.refusal !== null || space.isSpokenFor)
  }

  /** Follows a call to its answer. A refusal is one where space is short or the disk has failed. */
  #track(call: Promise<unknown>): void {
    this.#open++
    call.then(
      () => {
        this.#open--
      },
      (error: unknown) => {
        this.#open--
        if (this.directory.failure === null && !this.#settings.isShortOfSpace)
          this.#break(`a call fails: ${String(error)}`)
      },
    )
  }

  #break(sentence: string): void {
    this.#broken ??= new Broken(sentence)
  }
}

interface Draft {
  readonly entry: PartitionAppend
  readonly fields: { readonly producerId: number; readonly producerEpoch: number; readonly baseSequence: number }
  readonly records: readonly Omit<ModelRecord, 'offset'>[]
  readonly set: number
}
