/**
 * Log events go out through pino to stderr, so that stdout holds nothing but the ready line. The destination is asynchronous and
 * bounded: a terminal or journal that stalls never stalls the loop, and beyond the bound lines are dropped rather than kept.
 * No pino transport: those start a worker from a file that a single binary does not have.
 */
import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'
import type { EventDefinition, EventFields } from '../base/event-def.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
/** `json`: one object a line. `text`: for eyes. `auto`: text on a terminal, else json. */
export type LogFormat = 'auto' | 'json' | 'text'

export interface EventLogOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  /** File descriptor, 2 for stderr. */
  readonly descriptor: number
  readonly isTerminal: boolean
}

/** A stalled reader of stderr costs this much memory at most. */
const backlogBytesMax = 1_048_576

interface Destination {
  write(line: string): void
}

/** What pino's asynchronous destination does for us: one write at a time in the thread pool, the lines behind it in memory. */
interface Backlog extends Destination {
  flushSync(): void
}

export class EventLog {
  readonly #logger: Logger
  readonly #backlog: Backlog
  readonly #descriptor: number
  #isFatal = false

  constructor(options: EventLogOptions) {
    this.#descriptor = options.descriptor
    const backlog = pino.destination({ dest: options.descriptor, sync: false, maxLength: backlogBytesMax })
    // A terminal that hung up: there is nobody to tell, and it is no reason to end.
    backlog.on('error', () => {})
    this.#backlog = backlog
    const destination: Destination = {
      write: (line) => {
        if (this.#isFatal) this.#writeNow(line)
        else this.#backlog.write(line)
      },
    }
    const isText = options.format === 'text' || (options.format === 'auto' && options.isTerminal)
    this.#logger = pino(
      {
        level: options.level,
        base: null,
        messageKey: 'message',
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      isText ? textStream(destination) : destination,
    )
  }

  /** Writes one event. A fatal one is with the kernel when this returns, perhaps before what a write under way holds. */
  write<D extends EventDefinition>(definition: D, fields: EventFields<D>): void {
    if (!this.#logger.isLevelEnabled(definition.level)) return
    const line: object = { event: definition.id, ...fields }
    this.#isFatal = definition.level === 'fatal'
    try {
      this.#logger[definition.level](line, fillSentence(definition.sentence, fields))
    } finally {
      this.#isFatal = false
    }
  }

  /**
   * Hands over what waits in memory. A write that is under way in the thread pool is not waited for: it keeps the loop alive until
   * it is done, and what it did not get rid of then is written behind it. Only a process that is killed meanwhile loses it.
   */
  flush(): void {
    try {
      this.#backlog.flushSync()
    } catch {
      // stderr is closed or not open yet: there is nobody to tell.
    }
  }

  /** The thread pool may be stuck, or the process end before its turn comes: a last word does not go through it. */
  #writeNow(line: string): void {
    this.flush()
    try {
      let rest = Buffer.from(line)
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#descriptor, rest))
    } catch {
      // As above; or a reader that has stalled: it is not waited for.
    }
  }
}

/** The sentence with its `{field}` places filled. */
export function fillSentence(sentence: string, fields: Readonly<Record<string, unknown>>): string {
  return sentence.replace(/\{(\w+)\}/g, (place, name: string) =>
    Object.hasOwn(fields, name) ? String(fields[name]) : place,
  )
}

function textStream(destination: Destination): { write(line: string): void } {
  return {
    write(line) {
      const { time, level, message } = JSON.parse(line) as { time: string; level: string; message: string }
      destination.write(`${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${message}\n`)
    },
  }
}
