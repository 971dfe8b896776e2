/** What a SUBSCRIBE to `$log/TOPIC[/PARTITION][?offset=START]` asks for. Pure. */
import { isoTimeMs } from '../../base/iso-time.ts'
import type { UserProperty } from '../../protocol/mqtt/properties.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'

/** Where a replay begins; a time is the first record that is not older. */
export type ReplayStart =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'time'; readonly timestampMs: number }

export interface ReplayRequest {
  /** The filter without its start: what it is unsubscribed by. */
  readonly name: string
  readonly kafkaTopic: string
  /** Null = every partition of the topic. */
  readonly partition: number | null
  readonly start: ReplayStart
}

export interface ReplayRefusal {
  /** For SUBACK. */
  readonly reason: number
  readonly because: string
}

const root = '$log'
const prefix = `${root}/`
/** The user property of SUBSCRIBE, and the name behind the question mark. */
const startName = 'offset'

/** Is it a name under `$log`? No filter with a wildcard at its first level is [MQTT-4.7.2-1]. */
export function isOfLog(filter: string): boolean {
  return filter === root || filter.startsWith(prefix)
}

/** The filter without its start. */
export function replayName(filter: string): string {
  const end = filter.indexOf('?')
  return end < 0 ? filter : filter.slice(0, end)
}

/** Reads the filter, and the start from behind its question mark or else from the user properties of the SUBSCRIBE. */
export function readReplayRequest(
  filter: string,
  userProperties: readonly UserProperty[],
): ReplayRequest | ReplayRefusal {
  const name = replayName(filter)
  const refuse = (because: string): ReplayRefusal => ({ reason: reasonCodes.topicFilterInvalid, because })
  if (/[+#]/.test(filter)) return refuse('there are no wildcards under $log')
  const [, kafkaTopic = '', index, ...more] = name.split('/')
  if (kafkaTopic === '' || more.length > 0) return refuse('the form is $log/TOPIC or $log/TOPIC/PARTITION')
  if (index !== undefined && !/^(?:0|[1-9]\d{0,8})$/.test(index)) return refuse(`"${index}" is no partition`)
  const starts = name === filter ? ofProperties(userProperties) : ofSuffix(filter.slice(name.length + 1))
  if (typeof starts === 'string') return { reason: reasonCodes.implementationSpecificError, because: starts }
  const partition = index === undefined ? null : Number(index)
  return { name, kafkaTopic, partition, start: starts }
}

function ofProperties(userProperties: readonly UserProperty[]): ReplayStart | string {
  const values = userProperties.filter(([name]) => name === startName)
  if (values.length > 1) return `the user property ${startName} is there ${values.length} times`
  return readStart(values[0]?.[1] ?? 'latest')
}

function ofSuffix(suffix: string): ReplayStart | string {
  if (!suffix.startsWith(`${startName}=`)) return `behind the question mark stands ${startName}=START and nothing else`
  return readStart(suffix.slice(startName.length + 1))
}

/** A word, an offset in digits, `@` and milliseconds since 1970, or a time by ISO 8601. Answers a sentence for anything else. */
export function readStart(text: string): ReplayStart | string {
  if (text === 'earliest' || text === 'latest') return { kind: text }
  const digits = /^(@?)(\d{1,16})$/.exec(text)
  const timestampMs = isoTimeMs(text)
  if (digits !== null && Number(digits[2]) <= Number.MAX_SAFE_INTEGER) {
    const value = Number(digits[2])
    return digits[1] === '@' ? { kind: 'time', timestampMs: value } : { kind: 'offset', offset: value }
  }
  if (timestampMs !== null && timestampMs >= 0) return { kind: 'time', timestampMs }
  const shown = text.length > 64 ? `${text.slice(0, 64)}...` : text
  return `${startName} "${shown}" is not earliest, latest, an offset, @MILLISECONDS or a time like 2026-11-27T14:30:00Z`
}
