/**
 * Log events go out through pino to stderr, so that stdout holds nothing but the ready line. Their destination is ours, asynchronous and
 * bounded: a terminal or journal that stalls never stalls the loop, and beyond the bound lines are dropped rather than kept.
 * No pino transport: those start a worker from a file that a single binary does not have. No pino destination: its `flushSync` tries a
 * full pipe again until somebody reads it.
 */
import { type Logger, pino } from 'pino'
import type { EventDefinition, EventFields } from '../base/event-def.ts'
import { visibleJson, visibleText } from '../base/visible-text.ts'
import { eventLogEvents } from './event-log-events.ts'
import { LogDestination } from './log-destination.ts'

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

/** What pino writes a line to. */
interface LineSink {
  write(line: string): void
}

export class EventLog {
  readonly #logger: Logger
  readonly #destination: LogDestination
  #isFatal = false

  constructor(options: EventLogOptions) {
    const destination = new LogDestination({
      descriptor: options.descriptor,
      onResumed: (count) => this.write(eventLogEvents.linesLost, { count }),
    })
    this.#destination = destination
    const sink: LineSink = {
      write: (text) => {
        const line = visibleJson(text)
        if (this.#isFatal) destination.writeNow(line)
        else destination.write(line)
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
      isText ? textSink(sink) : sink,
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

  /** Tries once to hand over what waits in memory, as `LogDestination.flush` says. */
  flush(): void {
    this.#destination.flush()
  }
}

/** The sentence with its `{field}` places filled. */
export function fillSentence(sentence: string, fields: Readonly<Record<string, unknown>>): string {
  return sentence.replace(/\{(\w+)\}/g, (place, name: string) =>
    Object.hasOwn(fields, name) ? String(fields[name]) : place,
  )
}

function textSink(sink: LineSink): LineSink {
  return {
    write(line) {
      const { time, level, message } = JSON.parse(line) as { time: string; level: string; message: string }
      sink.write(`${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${visibleText(message)}\n`)
    },
  }
}
