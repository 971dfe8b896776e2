/**
 * Command routes: records of a Kafka topic as MQTT messages under a topic that a template gives. Pure.
 *
 * Places of the template: `{key}`, `{partition}`, `{offset}`, `{header.NAME}`. A key or a header may hold several levels.
 */
import { ApplianceError } from '../../base/errors.ts'
import { topicLevelsMax } from '../../protocol/mqtt/topic-filter.ts'
import { isValidTopicName, utf8Bytes } from '../../protocol/mqtt/utf8.ts'
import type { RecordHeader } from '../../protocol/records/record.ts'
import { isLegalTopicName } from './kafka-topic-name.ts'
import { mqttErrors } from './mqtt-errors.ts'
import { expiryOf, headerNames, mqttText } from './record-headers.ts'
import type { TopicMapping } from './topic-mapping.ts'

/** What becomes of a command that nobody subscribes to. */
export type UnmatchedPolicy = 'wait' | 'skip'

/** One route as the operator writes it. */
export interface CommandRoute {
  /** Its consumer group is `headwater-mqtt-NAME`. */
  readonly name: string
  readonly kafkaTopic: string
  /** Template. */
  readonly mqttTopic: string
  /** Of records without a header `mqtt.qos`. */
  readonly qos: 0 | 1 | 2
  /** From the record's timestamp on; a header `mqtt.expires` (wall ms) goes before. */
  readonly messageExpiryMs: number
  readonly unmatched: UnmatchedPolicy
  /** Names of the headers that become properties of 5.0. */
  readonly correlationData: string
  readonly responseTopic: string
  readonly contentType: string
  /** All other headers that are text become user properties. */
  readonly userProperties: boolean
}

/** A record of the Kafka topic; the bytes may be views. */
export interface CommandRecord {
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

export type CommandPlan =
  | {
      readonly kind: 'command'
      readonly topic: string
      readonly expiresMs: number
      /** As a record of an MQTT message has them. */
      readonly headers: readonly RecordHeader[]
    }
  /** It came in by MQTT: it is no command, and goes the way of all such records. */
  | { readonly kind: 'ordinary' }
  /** It gives no topic name. */
  | { readonly kind: 'invalid'; readonly reason: string }

type Place = { readonly kind: 'text' | 'place' | 'header'; readonly text: string }

const placePattern = /\{([^{}]*)\}/g
const placeNames: readonly string[] = ['key', 'partition', 'offset']
/** Places of one template. */
const placesMax = 8
const headerPrefix = 'header.'
const namePattern = /^[a-zA-Z0-9._-]{1,100}$/

/** Group of the route's offsets. */
export function commandGroup(name: string): string {
  return `headwater-mqtt-${name}`
}

/** The routes by their Kafka topics. Throws ApplianceError MQTT_COMMAND_ROUTE_INVALID for one that cannot be used. */
export function compileCommandRoutes(
  routes: readonly CommandRoute[],
  mapping: TopicMapping,
): ReadonlyMap<string, CompiledCommandRoute> {
  const compiled = new Map<string, CompiledCommandRoute>()
  const names = new Set<string>()
  for (const [index, route] of routes.entries()) {
    const refuse = (reason: string): never => {
      throw new ApplianceError(mqttErrors.invalidCommandRoute, { position: index + 1, name: route.name, reason })
    }
    const { name, kafkaTopic } = route
    if (!namePattern.test(name)) refuse('a name is made of letters, digits, dot, underscore and hyphen (1 to 100)')
    if (names.has(name)) refuse('another route has this name')
    if (!isLegalTopicName(kafkaTopic)) refuse(`"${kafkaTopic}" is no legal Kafka topic name`)
    if (kafkaTopic.startsWith('__')) refuse('names that begin with __ belong to internal topics')
    if (compiled.has(kafkaTopic)) refuse(`another route reads ${kafkaTopic}`)
    if (mapping.mayOmitHeadersIn(kafkaTopic)) {
      refuse(
        `a route of mqtt.routes may write to ${kafkaTopic} without headers: what it writes would be taken for commands`,
      )
    }
    names.add(name)
    compiled.set(kafkaTopic, new CompiledCommandRoute(route, refuse))
  }
  return compiled
}

export class CompiledCommandRoute {
  readonly route: CommandRoute
  private readonly template: readonly Place[]
  private readonly pattern: RegExp
  /** Names of headers, and what they are called in a record of an MQTT message. */
  private readonly renamed: ReadonlyMap<string, string>

  constructor(route: CommandRoute, refuse: (reason: string) => never) {
    this.route = route
    this.template = compileTemplate(route.mqttTopic, refuse)
    const source = this.template.map(({ kind, text }) =>
      kind === 'text' ? text.replace(/[.\\^$*+?()[\]{}|/-]/g, '\\$&') : '(.+?)',
    )
    this.pattern = new RegExp(`^${source.join('')}$`, 's')
    this.renamed = new Map([
      [route.correlationData, headerNames.correlation],
      [route.responseTopic, headerNames.responseTopic],
      [route.contentType, headerNames.contentType],
    ])
    if (this.renamed.size < 3) refuse('correlationData, responseTopic and contentType name three different headers')
  }

  /** What the template's places hold where it gives this topic; null where it cannot. For people: the first of several readings. */
  placesOf(topic: string): Readonly<Record<string, string>> | null {
    const found = this.pattern.exec(topic)
    if (found === null) return null
    const names = this.template.filter(({ kind }) => kind !== 'text').map(({ kind, text }) => nameOf({ kind, text }))
    return Object.fromEntries(names.map((name, index) => [name, found[index + 1] ?? '']))
  }

  /** What the record is as a message. */
  plan(record: CommandRecord): CommandPlan {
    const { headers } = record
    // No command comes from MQTT: what a device publishes cannot come round.
    if (headers.some(({ key }) => key === headerNames.client)) return { kind: 'ordinary' }
    let topic = ''
    for (const part of this.template) {
      const text = part.kind === 'text' ? part.text : valueOf(part, record)
      if (text === null) return { kind: 'invalid', reason: `it has no ${nameOf(part)} that is text` }
      topic += text
    }
    const fault = topicFault(topic)
    if (fault !== null) return { kind: 'invalid', reason: fault }
    const given = expiryOf(mqttText(headers.find(({ key }) => key === headerNames.expires)?.value))
    const expiresMs = given ?? record.timestampMs + this.route.messageExpiryMs
    return { kind: 'command', topic, expiresMs, headers: this.headersOf(headers, expiresMs) }
  }

  private headersOf(headers: readonly RecordHeader[], expiresMs: number): readonly RecordHeader[] {
    const found: RecordHeader[] = []
    let hasQos = false
    for (const header of headers) {
      const { key, value } = header
      const renamed = this.renamed.get(key)
      hasQos ||= key === headerNames.qos
      if (key === headerNames.expires || key === headerNames.topic || key === headerNames.retain) continue
      if (renamed !== undefined) found.push({ key: renamed, value })
      else if (this.route.userProperties || (key.startsWith('mqtt.') && !key.startsWith('mqtt.up.'))) found.push(header)
    }
    if (!hasQos) found.push({ key: headerNames.qos, value: utf8Bytes(String(this.route.qos)) })
    found.push({ key: headerNames.expires, value: utf8Bytes(String(expiresMs)) })
    return found
  }
}

function compileTemplate(template: string, refuse: (reason: string) => never): readonly Place[] {
  const parts: Place[] = []
  let at = 0
  for (const found of template.matchAll(placePattern)) {
    const name = found[1] as string
    const isHeader = name.startsWith(headerPrefix) && name.length > headerPrefix.length
    if (!isHeader && !placeNames.includes(name)) {
      refuse(`"${template}" uses {${name}}: there are {key}, {partition}, {offset} and {header.NAME}`)
    }
    if (found.index > at) parts.push({ kind: 'text', text: template.slice(at, found.index) })
    parts.push(isHeader ? { kind: 'header', text: name.slice(headerPrefix.length) } : { kind: 'place', text: name })
    at = found.index + found[0].length
  }
  if (at < template.length) parts.push({ kind: 'text', text: template.slice(at) })
  if (parts.filter(({ kind }) => kind !== 'text').length > placesMax)
    refuse(`"${template}" has more than ${placesMax} places`)
  if (parts.some(({ kind, text }) => kind === 'text' && /[{}]/.test(text)))
    refuse(`"${template}" has a brace that is no place`)
  const sample = parts.map(({ kind, text }) => (kind === 'text' ? text : 'x')).join('')
  const fault = topicFault(sample)
  if (fault !== null) refuse(`"${template}" gives no MQTT topic name: ${fault}`)
  return parts
}

function valueOf(part: Place, record: CommandRecord): string | null {
  if (part.kind === 'header') return mqttText(record.headers.find(({ key }) => key === part.text)?.value) || null
  if (part.text === 'key') return mqttText(record.key) || null
  return String(part.text === 'partition' ? record.partition : record.offset)
}

function nameOf(part: Place): string {
  return part.kind === 'header' ? `header ${part.text}` : part.text
}

/** Why a text is no topic name for a command; null when it is one. */
function topicFault(topic: string): string | null {
  const shown = topic.length > 100 ? `${topic.slice(0, 100)}...` : topic
  if (topic.startsWith('$')) return `"${shown}" begins with $`
  const bytes = utf8Bytes(topic)
  if (!isValidTopicName(bytes, 0, bytes.length)) return `"${shown}" has a wildcard or is no text of MQTT`
  return topic.split('/').length > topicLevelsMax ? `"${shown}" has more than ${topicLevelsMax} levels` : null
}
