/**
 * Lines on their way to a descriptor whose reader may stall, fail or go away. One asynchronous write at a time; the lines behind it
 * wait in memory up to a bound, beyond it they are counted and dropped until everything that waited has left. No trouble of the
 * reader is ever waited for: a full pipe is tried again by a timer that does not keep the process, and any other error costs what waits.
 */
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs'

/** A reader that stalls costs this much memory at most. */
const backlogBytesMax = 1_048_576
/** Lines are written together up to the size that a pipe takes whole or not at all (PIPE_BUF): another writer does not break them. */
const chunkBytesMax = 4_096
/** Waits before a full pipe is tried again; each is twice the one before. */
const retryMsMin = 20
const retryMsMax = 1_000

export interface LogDestinationOptions {
  /** Node makes pipes and sockets that do not wait of descriptors 1 and 2, when `process.stdout` and `process.stderr` are first used. */
  readonly descriptor: number
  /** Called when lines leave again after some were lost; a line that it writes stands where they are missing. */
  readonly onResumed: (linesLost: number) => void
}

interface Chunk {
  text: string
  bytes: number
  lines: number
  /** What is not written yet; null before the first attempt. */
  rest: Buffer | null
}

export class LogDestination {
  readonly #descriptor: number
  readonly #onResumed: (linesLost: number) => void
  readonly #chunks: Chunk[] = []
  #waitingBytes = 0
  /** The first chunk is with the thread pool. */
  #isWriting = false
  #retry: NodeJS.Timeout | null = null
  #retryMs = retryMsMin
  /** Once the bound was met nothing is taken until the backlog is empty, so that what is missing is missing in one place. */
  #isFull = false
  #linesLost = 0

  constructor(options: LogDestinationOptions) {
    this.#descriptor = withoutWaiting(options.descriptor)
    this.#onResumed = options.onResumed
  }

  /** What is not with the kernel yet. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  write(line: string): void {
    this.#enqueue(line)
    this.#pump()
  }

  /** Writes on the loop, behind what waits: the line is with the kernel when this returns, unless the reader has stalled. */
  writeNow(line: string): void {
    this.flush()
    this.#enqueue(line)
    this.flush()
    this.#pump()
  }

  /**
   * Tries once to hand over what waits. What is with the thread pool is not waited for: it keeps the loop alive until it is done, and
   * what it did not get rid of then is written behind. What a stalled reader does not take stays; it does not keep the process.
   */
  flush(): void {
    try {
      for (;;) {
        const chunk = this.#chunks[this.#isWriting ? 1 : 0]
        if (chunk === undefined) return
        this.#wrote(chunk, writeSync(this.#descriptor, bytesOf(chunk)))
      }
    } catch {
      // A full pipe, or nobody there any more: the asynchronous write meets the same and deals with it.
    }
  }

  #enqueue(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#isFull || this.#waitingBytes + bytes > backlogBytesMax) {
      this.#isFull = this.#chunks.length > 0
      this.#linesLost++
      return
    }
    this.#waitingBytes += bytes
    const last = this.#chunks.at(-1)
    if (last !== undefined && last.rest === null && last.bytes + bytes <= chunkBytesMax) {
      last.text += line
      last.bytes += bytes
      last.lines++
    } else {
      this.#chunks.push({ text: line, bytes, lines: 1, rest: null })
    }
  }

  #pump(): void {
    const chunk = this.#chunks[0]
    if (chunk === undefined || this.#isWriting || this.#retry !== null) return
    this.#isWriting = true
    write(this.#descriptor, bytesOf(chunk), (error, written) => {
      this.#isWriting = false
      if (error === null) this.#wrote(chunk, written)
      else this.#failed(error)
      this.#pump()
    })
  }

  #wrote(chunk: Chunk, written: number): void {
    this.#waitingBytes -= written
    this.#retryMs = retryMsMin
    chunk.rest = bytesOf(chunk).subarray(written)
    if (chunk.rest.length > 0) return
    this.#chunks.splice(this.#chunks.indexOf(chunk), 1)
    if (this.#chunks.length > 0) return
    this.#isFull = false
    const linesLost = this.#linesLost
    this.#linesLost = 0
    if (linesLost > 0) this.#onResumed(linesLost)
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === 'EAGAIN') {
      this.#retry = setTimeout(() => {
        this.#retry = null
        this.#pump()
      }, this.#retryMs).unref()
      this.#retryMs = Math.min(this.#retryMs * 2, retryMsMax)
      return
    }
    // A terminal that hung up, a reader that ended, a file system that is full: the next line tries again.
    for (const { lines } of this.#chunks) this.#linesLost += lines
    this.#chunks.length = 0
    this.#waitingBytes = 0
    this.#isFull = false
  }
}

function bytesOf(chunk: Chunk): Buffer {
  chunk.rest ??= Buffer.from(chunk.text)
  return chunk.rest
}

/**
 * A descriptor of our own, of the same pipe or terminal, that answers EAGAIN instead of waiting for its reader: the flag of the given one
 * belongs to everybody who shares it. Files never wait; sockets cannot be opened in this way, and are left as they are.
 */
function withoutWaiting(descriptor: number): number {
  try {
    const facts = fstatSync(descriptor)
    if (!facts.isFIFO() && !facts.isCharacterDevice()) return descriptor
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    // Closed, without a reader, of another user, or no /proc: the given one is as good as it gets.
    return descriptor
  }
}
