/**
 * Names of Kafka topics made from parts of MQTT topics: `[a-zA-Z0-9._-]`, at most 249 characters, not `.` or `..`
 * (org.apache.kafka.common.internals.Topic). The encoding is injective: what two MQTT levels give is equal only if they are.
 */
import { createHash } from 'node:crypto'

const legalLevel = /^[A-Za-z0-9_-]*$/
/** Looks like an escape of ours. */
const escapeLike = /-(?=x[0-9A-F]{2})/g
const nameLengthMax = 249
const hashLength = 40

/**
 * One MQTT level as a part of a Kafka name. A byte that is not legal, and `.` (which stands for `/`), becomes `-xHH`; a `-` that would begin
 * such an escape is escaped itself.
 */
export function encodeLevel(level: string): string {
  const unambiguous = level.replace(escapeLike, '-x2D')
  if (legalLevel.test(unambiguous)) return unambiguous
  let name = ''
  for (const character of unambiguous) {
    name += legalLevel.test(character) ? character : encodeBytes(character)
  }
  return name
}

function encodeBytes(character: string): string {
  return [...Buffer.from(character, 'utf8')]
    .map((byte) => `-x${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('')
}

/** Several MQTT levels as a part of a Kafka name: `/` becomes `.`. */
export function encodeLevels(levels: readonly string[]): string {
  return levels.map(encodeLevel).join('.')
}

/**
 * The final name: `__` at the front belongs to Kafka's and our own internal topics, so such a name gets an `m` before it; a name that is too
 * long keeps its first 208 characters and a hash. Null when nothing legal is left (empty, `.`, `..`).
 */
export function finishTopicName(expanded: string): string | null {
  if (expanded === '' || expanded === '.' || expanded === '..') return null
  const name = expanded.startsWith('__') ? `m${expanded}` : expanded
  if (name.length <= nameLengthMax) return name
  const hash = createHash('sha256').update(name).digest('hex').slice(0, hashLength)
  return `${name.slice(0, nameLengthMax - hashLength - 1)}-${hash}`
}

/** True for a name that Kafka accepts. */
export function isLegalTopicName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..'
}
