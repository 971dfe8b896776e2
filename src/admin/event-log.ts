/**
 * Log events go out through pino to stderr, so that stdout holds nothing but the ready line. The destination is asynchronous and
 * bounded: a terminal or journal that stalls never stalls the loop, and beyond the bound lines are dropped rather than kept.
 * No pino transport: those start a worker from a file that a single binary does not have.
 */
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
  flushSync(): void
}

export class EventLog {
  readonly #logger: Logger
  readonly #destination: Destination

  constructor(options: EventLogOptions) {
    this.#destination = pino.destination({ dest: options.descriptor, sync: false, maxLength: backlogBytesMax })
    const isText = options.format === 'text' || (options.format === 'auto' && options.isTerminal)
    this.#logger = pino(
      {
        level: options.level,
        base: null,
        messageKey: 'message',
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      isText ? textStream(this.#destination) : this.#destination,
    )
  }

  /** Writes one event; a fatal one is with the kernel when this returns. */
  write<D extends EventDefinition>(definition: D, fields: EventFields<D>): void {
    if (!this.#logger.isLevelEnabled(definition.level)) return
    const line: object = { event: definition.id, ...fields }
    this.#logger[definition.level](line, fillSentence(definition.sentence, fields))
    if (definition.level === 'fatal') this.flush()
  }

  /** Everything written so far is with the kernel when this returns. */
  flush(): void {
    try {
      this.#destination.flushSync()
    } catch {
      // stderr is closed or not open yet: there is nobody to tell.
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
