/**
 * The loop's side of the writer thread: numbers the groups, copies their bytes into a ring of shared memory, posts one message of
 * commands per turn of the loop, and settles the promises in batches.
 *
 * Commands are flat: kind, index of the operation, arguments. `write` carries two pieces of the ring (offset, length each; the
 * second is empty unless the bytes wrap). A write that finds the ring full goes on as a further `write` with the same index when
 * the writer has released bytes; the groups behind it wait, so that the order stays. The path of a `write`, `flushed` or `checked` is a number
 * that a `name` command has told before: cloning the paths of some hundred small writes cost more than all else about them.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { asError } from '../base/errors.ts'
import { DiskError, type DiskOperation } from '../base/ports.ts'
import { startWriter } from './assets.ts'

// Words of the control memory; the same in writer.js.
const releasedBytes = 0
const completedGroups = 1
const isNotified = 2
const isWaiting = 3
// Figures.
const syncCount = 0
const syncMsTotal = 1
const openDescriptors = 2
const guardDescriptor = 3
const uncoveredMark = 4

export interface WriterThreadOptions {
  /** Size of the ring, a power of two: 8 MiB hold some 50 ms of a device that writes 150 MB/s. */
  readonly ringBytes: number
  readonly descriptorsMax: number
  /** The C add-on, with which many files are synced at once; null = one after the other. */
  readonly addOnFile: string | null
  /** Copies `source` to `at` of the ring. */
  readonly place: (ring: Uint8Array, at: number, source: Uint8Array) => void
  /** The thread has ended by itself: nothing is written any more. */
  readonly onLost: (error: Error) => void
}

/** What the writer has done so far. */
export interface WriterFigures {
  readonly syncs: number
  readonly syncMs: number
  readonly openDescriptors: number
  /** An open folder, of before anything was written to its file system; 0 = there is none. */
  readonly guard: number
  /** The newest mark of which `covers` could not be said. */
  readonly uncoveredMark: number
}

export interface WriterGroupOptions {
  /** Not run when the group before it has failed. */
  readonly needsPrevious?: boolean
  /** From this group on what is written carries this number, larger than any before. */
  readonly mark?: number
  /** A flush through the guard that told of no error has covered what was written below this mark. */
  readonly covers?: number
  /** Its syncs only ask how a flush went that was made beside the queue; missing files are passed over. */
  readonly checks?: FlushAside
}

/** A flush of the whole file system, begun when all that is written with a mark below `mark` was written. */
export interface FlushAside {
  readonly mark: number
  /** Open folder of that file system, of this process; null: there was no flush, each file is synced. */
  readonly folder: number | null
}

interface Group extends WriterGroupOptions {
  readonly operations: readonly DiskOperation[]
  readonly submittedMs: number
  readonly settled: (failure: DiskError | null, submittedMs: number) => void
  failure: DiskError | null
}

type Command = string | number

/** The commands of one message. Their memory is that of the next message too: a list that grows anew each time takes three times what it comes to. */
class CommandList {
  readonly #words: Command[] = []
  #count = 0

  get isEmpty(): boolean {
    return this.#count === 0
  }

  add(word: Command): void {
    if (this.#count < this.#words.length) this.#words[this.#count] = word
    else this.#words.push(word)
    this.#count++
  }

  addAll(...words: readonly Command[]): void {
    for (const word of words) this.add(word)
  }

  take(): Command[] {
    const taken = this.#words.slice(0, this.#count)
    this.#count = 0
    if (this.#words.length > keptWordsMax) this.#words.length = 0
    return taken
  }
}

/** Of some thousand writes; more come with the first batches of many partitions, and seldom. */
const keptWordsMax = 65_536

/**
 * From so many files on a flush of the whole file system is asked for: 256 files of 16 KB take 63 ms one after the other and 11 ms so,
 * 4,096 take 36 ms. Below, the dirty pages of strangers on the same file system are none of our commits' affair.
 */
export const syncsPerFlush = 64

/** Paths with a number, on both sides, where the writer keeps fewer files open: some 200 bytes each. */
const namesMin = 4096

export class WriterThread {
  readonly #options: WriterThreadOptions
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #ring: Uint8Array
  readonly #control = new Int32Array(new SharedArrayBuffer(16))
  readonly #figures = new Float64Array(new SharedArrayBuffer(40))
  /** Bytes ever put into the ring, modulo 2^32 like the writer's count of released ones. */
  #usedBytes = 0
  readonly #commands = new CommandList()
  /** Numbers of the paths that the writer knows; begun anew when there are as many as the writer may keep files open. */
  readonly #names = new Map<string, number>()
  #flushPending = false
  /** Groups whose bytes are not all in the ring yet; bounded by those who submit, each of whom holds its own bytes. */
  readonly #waiting: Group[] = []
  /** How far the first waiting group is: operation, chunk, bytes of the chunk, bytes of the operation. */
  readonly #cursor = { hasBegun: false, operation: 0, chunk: 0, chunkBytes: 0, operationBytes: 0 }
  /** Groups the writer knows in full, oldest first, from number `#firstSent` on. */
  readonly #sent: Group[] = []
  #sentCount = 0
  #isBlocked = false
  #settledCount = 0
  #end: Error | null = null
  #isClosing = false
  readonly #exited: Promise<void>

  constructor(options: WriterThreadOptions) {
    assert(Number.isInteger(Math.log2(options.ringBytes)), 'the ring of the writer is a power of two')
    this.#options = options
    const ring = new SharedArrayBuffer(options.ringBytes)
    this.#ring = new Uint8Array(ring)
    const channel = new MessageChannel()
    this.#port = channel.port1
    const data = {
      port: channel.port2,
      ring,
      control: this.#control.buffer,
      figures: this.#figures.buffer,
      descriptorsMax: options.descriptorsMax,
      addOnFile: options.addOnFile,
    }
    this.#worker = startWriter({ workerData: data, transferList: [channel.port2] })
    this.#port.on('message', (message: unknown) => this.#onMessage(message))
    this.#worker.on('error', (error: unknown) => this.#lost(asError(error)))
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        if (!this.#isClosing) this.#lost(new Error(`the writer thread ended with code ${code}`))
        resolve()
      })
    })
  }

  get figures(): WriterFigures {
    return {
      syncs: this.#figures[syncCount] ?? 0,
      syncMs: this.#figures[syncMsTotal] ?? 0,
      openDescriptors: this.#figures[openDescriptors] ?? 0,
      guard: this.#figures[guardDescriptor] ?? 0,
      uncoveredMark: this.#figures[uncoveredMark] ?? 0,
    }
  }

  /** Groups that were submitted and have not completed. */
  get pendingGroups(): number {
    return this.#sent.length + this.#waiting.length
  }

  /** When the oldest unfinished group was submitted, or null. */
  get oldestSubmittedMs(): number | null {
    return (this.#sent[0] ?? this.#waiting[0])?.submittedMs ?? null
  }

  /** Queues a group. `settled` is called once, in the order of submission. */
  submit(
    operations: readonly DiskOperation[],
    settled: (failure: DiskError | null, submittedMs: number) => void,
    options: WriterGroupOptions = {},
  ): void {
    const group: Group = { ...options, operations, submittedMs: performance.now(), settled, failure: null }
    if (this.#end) {
      settled(lostError(group), group.submittedMs)
      return
    }
    this.#waiting.push(group)
    if (this.#waiting.length > 1) return
    this.#fill()
    // Somebody waits for a sync: it must not wait for the commands of what is submitted behind it.
    if (operations.at(-1)?.kind === 'sync') this.#flush()
  }

  /** Lets a descriptor go that has nothing unsynced, after the groups submitted so far. */
  forget(path: string): void {
    if (this.#end) return
    // Behind a group that waits for the ring this is only a hint lost.
    if (this.#waiting.length > 0) return
    this.#commands.addAll('forget', path)
    this.#flushLater()
  }

  /** Waits for every group, then ends the thread. */
  async close(): Promise<void> {
    while (this.pendingGroups > 0) {
      await new Promise<void>((resolve) => this.submit([], () => resolve()))
    }
    if (!this.#end) {
      this.#isClosing = true
      this.#end = new Error('the disk is closed')
      this.#port.postMessage(['close'], [])
    }
    await this.#exited
    this.#port.close()
  }

  // ---- to the writer

  /** Turns waiting groups into commands while the ring takes their bytes. */
  #fill(): void {
    for (let group = this.#waiting[0]; group; group = this.#waiting[0]) {
      if (!this.#hasRoom() || !this.#encode(group)) {
        // Ask to be woken, then look once more: bytes may have been released in between.
        this.#isBlocked = true
        Atomics.store(this.#control, isWaiting, 1)
        if (!this.#hasRoom()) break
        continue
      }
      this.#waiting.shift()
      // What a write has left of it is 0 already.
      this.#cursor.hasBegun = false
      this.#cursor.operation = 0
      this.#sent.push(group)
      this.#sentCount = (this.#sentCount + 1) | 0
      this.#commands.addAll('end', this.#sentCount)
    }
    this.#flushLater()
  }

  /** False when the ring is full: the cursor tells where to go on. */
  #encode(group: Group): boolean {
    const cursor = this.#cursor
    if (group.needsPrevious === true && !cursor.hasBegun) this.#commands.addAll('needsPrevious', 0)
    if (group.mark !== undefined && !cursor.hasBegun) this.#commands.addAll('mark', group.mark)
    if (group.covers !== undefined && !cursor.hasBegun) this.#commands.addAll('covered', group.covers)
    cursor.hasBegun = true
    for (; cursor.operation < group.operations.length; cursor.operation++) {
      const operation = group.operations[cursor.operation] as DiskOperation
      switch (operation.kind) {
        case 'write':
          if (!this.#encodeBytes(operation.path, operation.position, operation.chunks)) return false
          break
        case 'writeFile':
          if (cursor.operationBytes === 0) this.#commands.addAll('create', cursor.operation, operation.path)
          if (!this.#encodeBytes(operation.path, 0, [operation.bytes])) return false
          break
        case 'copy':
          this.#encodeCopy(operation)
          break
        case 'truncate':
        case 'reserve':
          this.#commands.addAll(operation.kind, cursor.operation, operation.path, operation.size)
          break
        case 'rename':
          this.#commands.addAll('rename', cursor.operation, operation.from, operation.to)
          break
        case 'sync':
        case 'syncDirectory':
          if (group.checks === undefined) this.#encodeSyncs(group.operations)
          else this.#encodeCheck(operation.path, group.checks)
          break
        default:
          this.#commands.addAll(operation.kind, cursor.operation, operation.path)
      }
    }
    return true
  }

  /** A sync, or a run of so many that the whole file system is flushed for them; leaves the cursor at the last one. */
  #encodeSyncs(operations: readonly DiskOperation[]): void {
    const cursor = this.#cursor
    const syncs: { readonly kind: 'sync' | 'syncDirectory'; readonly path: string }[] = []
    for (let operation = operations[cursor.operation]; operation !== undefined; ) {
      if (operation.kind !== 'sync' && operation.kind !== 'syncDirectory') break
      syncs.push(operation)
      operation = operations[cursor.operation + syncs.length]
    }
    const first = syncs.find((operation) => operation.kind === 'sync')
    const isFlushed = syncs.length >= syncsPerFlush && first !== undefined
    if (isFlushed) this.#commands.addAll('flush', cursor.operation, first.path)
    syncs.forEach(({ kind, path }, index) => {
      if (!isFlushed) this.#commands.addAll(kind, cursor.operation + index, path)
      else if (kind === 'syncDirectory') this.#commands.addAll('flushedDirectory', cursor.operation + index, path)
      else {
        const name = this.#nameOf(path)
        this.#commands.addAll('flushed', cursor.operation + index, name)
      }
    })
    cursor.operation += syncs.length - 1
  }

  #encodeCopy({ path, position, from, pieces }: Extract<DiskOperation, { readonly kind: 'copy' }>): void {
    let name = this.#nameOf(path)
    const source = this.#nameOf(from)
    // The names have begun anew in between.
    if (this.#names.get(path) !== name) name = this.#nameOf(path)
    this.#commands.addAll('copy', this.#cursor.operation, name, position, source, pieces.length)
    for (const word of pieces) this.#commands.add(word)
  }

  #encodeCheck(path: string, { mark, folder }: FlushAside): void {
    const name = this.#nameOf(path)
    this.#commands.addAll('checked', this.#cursor.operation, name, mark, folder ?? -1)
  }

  #encodeBytes(path: string, position: number, chunks: readonly Uint8Array[]): boolean {
    const cursor = this.#cursor
    const size = this.#ring.length
    const start = this.#usedBytes % size
    let free = this.#freeBytes()
    let copied = 0
    while (cursor.chunk < chunks.length) {
      const chunk = chunks[cursor.chunk] as Uint8Array
      const at = (start + copied) % size
      const count = Math.min(chunk.length - cursor.chunkBytes, free, size - at)
      const isAll = count === chunk.length
      const piece = isAll ? chunk : chunk.subarray(cursor.chunkBytes, cursor.chunkBytes + count)
      if (count > 0) this.#options.place(this.#ring, at, piece)
      copied += count
      free -= count
      cursor.chunkBytes += count
      if (cursor.chunkBytes === chunk.length) {
        cursor.chunk++
        cursor.chunkBytes = 0
      } else if (free === 0) break
    }
    const isWhole = cursor.chunk === chunks.length
    // A write of nothing still creates its file.
    if (copied > 0 || (isWhole && cursor.operationBytes === 0)) {
      const first = Math.min(copied, size - start)
      const at = position + cursor.operationBytes
      const name = this.#nameOf(path)
      // Word by word: each batch has a write, and no list is made for it.
      const commands = this.#commands
      commands.add('write')
      commands.add(cursor.operation)
      commands.add(name)
      commands.add(at)
      commands.add(start)
      commands.add(first)
      commands.add(0)
      commands.add(copied - first)
      this.#usedBytes = (this.#usedBytes + copied) >>> 0
      cursor.operationBytes += copied
    }
    if (!isWhole) return false
    cursor.chunk = 0
    cursor.chunkBytes = 0
    cursor.operationBytes = 0
    return true
  }

  #nameOf(path: string): number {
    const known = this.#names.get(path)
    if (known !== undefined) return known
    if (this.#names.size >= Math.max(namesMin, this.#options.descriptorsMax)) this.#names.clear()
    const name = this.#names.size
    this.#names.set(path, name)
    this.#commands.addAll('name', name, path)
    return name
  }

  /** Once the ring was full, wait for a quarter of it: else a large write would go out in crumbs. */
  #hasRoom(): boolean {
    const free = this.#freeBytes()
    if (this.#isBlocked && free < this.#ring.length / 4) return false
    this.#isBlocked = false
    return free > 0
  }

  #freeBytes(): number {
    return this.#ring.length - ((this.#usedBytes - Atomics.load(this.#control, releasedBytes)) >>> 0)
  }

  /** A busy writer gets one message per turn; an idle one is not kept waiting for the end of the turn. */
  #flushLater(): void {
    if (this.#flushPending || this.#commands.isEmpty) return
    this.#flushPending = true
    const flush = (): void => {
      this.#flushPending = false
      this.#flush()
    }
    if (this.#sent.length <= 1) queueMicrotask(flush)
    else setImmediate(flush)
  }

  #flush(): void {
    if (this.#end || this.#commands.isEmpty) return
    this.#port.postMessage(this.#commands.take(), [])
  }

  // ---- from the writer

  #onMessage(message: unknown): void {
    // First the flag, then the count, then the messages: the failures of the groups counted here were posted before they were
    // counted. A message that is taken here may have told of groups counted later, so look again until there is none.
    let completed: number
    let taken: { message: unknown } | undefined = { message }
    do {
      Atomics.store(this.#control, isNotified, 0)
      completed = Atomics.load(this.#control, completedGroups)
      if (taken) this.#noteFailure(taken.message)
      taken = receiveMessageOnPort(this.#port)
    } while (taken)
    while (this.#settledCount !== completed) {
      this.#settledCount = (this.#settledCount + 1) | 0
      const group = this.#sent.shift() as Group
      group.settled(group.failure, group.submittedMs)
    }
    if (this.#waiting.length > 0) this.#fill()
  }

  #noteFailure(message: unknown): void {
    if (!Array.isArray(message)) return
    const [sequence, index, code] = message as [number, number, string]
    const group = this.#sent[((sequence - this.#settledCount) | 0) - 1] ?? this.#waiting[0]
    if (group === undefined) return
    const operation = group.operations[index]
    // A group without operations is cancelled like any other.
    group.failure = new DiskError(code, operation?.kind ?? 'submit', operation ? pathOf(operation) : '', index)
  }

  #lost(error: Error): void {
    if (this.#end) return
    this.#end = error
    this.#options.onLost(error)
    for (const group of [...this.#sent.splice(0), ...this.#waiting.splice(0)]) {
      group.settled(lostError(group), group.submittedMs)
    }
  }
}

function lostError(group: Group): DiskError {
  const first = group.operations[0]
  return new DiskError('WRITER_LOST', first?.kind ?? 'submit', first ? pathOf(first) : '')
}

function pathOf(operation: DiskOperation): string {
  return operation.kind === 'rename' ? operation.from : operation.path
}
