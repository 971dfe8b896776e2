/**
 * From an MQTT topic to (Kafka topic, key, what chooses the partition): ordered rules, the first match wins. Pure.
 *
 * A rule's filter is an MQTT topic filter in which `{name}` captures one level and `{name...}` at the end captures the rest (at least one
 * level). After the rules comes the default: the first level is the Kafka topic and the MQTT topic is the key. `$...` topics never route.
 */
import { ApplianceError } from '../../base/errors.ts'
import { type FilterPart, filtersOverlap } from './filter-overlap.ts'
import { encodeLevel, encodeLevels, finishTopicName, isLegalTopicName } from './kafka-topic-name.ts'
import { mqttErrors } from './mqtt-errors.ts'

export type HeaderLevel = 'none' | 'minimal' | 'full'

/** One rule as the operator writes it. */
export interface TopicRoute {
  readonly match: string
  /** Template of the Kafka topic. */
  readonly topic: string
  /** Template of the record key; `{mqtt.topic}` is the whole MQTT topic. Default `{mqtt.topic}`. */
  readonly key?: string
  /** Template of what is hashed to choose the partition; null = the key. */
  readonly partitionBy?: string | null
  /** Default `minimal`. */
  readonly headers?: HeaderLevel
  /** File of the JSON Schema that payloads must fit; null = they may be anything. */
  readonly schema?: string | null
  /** Payloads of more bytes are refused unread where there is a schema. */
  readonly schemaPayloadMax?: number
}

export type RoutePlan =
  | {
      readonly kind: 'routed'
      /** Place of the rule, from 0; null = the default. */
      readonly rule: number | null
      readonly kafkaTopic: string
      /** Null = the MQTT topic itself. */
      readonly key: string | null
      /** What is hashed; null = the MQTT topic itself. */
      readonly partitionBy: string | null
      readonly headers: HeaderLevel
      /** True when the Kafka topic's name depends on the MQTT topic, so that its creation must be bounded. */
      readonly isOpenEnded: boolean
    }
  /** No rule gives a legal Kafka topic: the last-resort topic takes it. */
  | { readonly kind: 'unrouted' }
  /** It must not be stored: a `$` topic, or a name that another MQTT topic has the better claim to. */
  | { readonly kind: 'refused'; readonly reason: string }

export type RuleVerdict =
  | { readonly kind: 'matched'; readonly captures: readonly (readonly [name: string, value: string])[] }
  | { readonly kind: 'passed'; readonly reason: string }

type TemplatePart = { readonly kind: 'text' | 'capture'; readonly text: string }

interface CompiledRoute {
  readonly filter: readonly FilterPart[]
  readonly topic: readonly TemplatePart[]
  /** Takes an expanded topic name apart again: see `claims`. */
  readonly topicPattern: RegExp
  /** Null = the MQTT topic itself; so too below. */
  readonly key: readonly TemplatePart[] | null
  readonly partitionBy: readonly TemplatePart[] | null
  readonly headers: HeaderLevel
  readonly isOpenEnded: boolean
}

/** Longer expansions are not taken apart: the pattern's work grows with the length. */
const expandedLengthMax = 1024

type Captures = ReadonlyMap<string, readonly string[]>

const wholeTopic = 'mqtt.topic'
const placePattern = /\{([A-Za-z_][A-Za-z0-9_.]*)\}/g
const capturePattern = /^\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}$/

export class TopicMapping {
  private readonly routes: readonly CompiledRoute[]

  /** Throws ApplianceError MQTT_ROUTE_INVALID for a rule that cannot be used. */
  constructor(routes: readonly TopicRoute[]) {
    this.routes = routes.map((route, index) => compileRoute(route, index + 1))
  }

  /** True when any rule writes no headers: then a subscriber cannot be told who published. */
  get omitsHeaders(): boolean {
    return this.routes.some((route) => route.headers === 'none')
  }

  /** True when a rule that writes no headers may write to this Kafka topic. */
  mayOmitHeadersIn(kafkaTopic: string): boolean {
    return this.routes.some(({ headers, topicPattern }) => headers === 'none' && topicPattern.test(kafkaTopic))
  }

  /** May a subscription get records that a rule writes without headers? They do not say at which quality and for how long the message was. */
  isBare(filter: string): boolean {
    return this.routes.some((route) => route.headers === 'none' && filtersOverlap(route.filter, filter))
  }

  /** Where messages of a (valid) MQTT topic go. */
  plan(mqttTopic: string): RoutePlan {
    if (mqttTopic.startsWith('$')) return { kind: 'refused', reason: 'topics that begin with $ are not stored' }
    const levels = mqttTopic.split('/')
    for (const [rule, route] of this.routes.entries()) {
      const captures = matchFilter(route.filter, levels)
      if (captures !== null) return planRoute(route, rule, captures, mqttTopic)
    }
    return this.planDefault(levels)
  }

  /** What each rule has to say of an MQTT topic, in their order; the first that matches is the one that counts. */
  verdicts(mqttTopic: string): readonly RuleVerdict[] {
    const levels = mqttTopic.split('/')
    return this.routes.map(({ filter }) => {
      const captures = matchFilter(filter, levels)
      if (captures === null) return { kind: 'passed', reason: mismatchOf(filter, levels) }
      return { kind: 'matched', captures: [...captures].map(([name, values]) => [name, values.join('/')] as const) }
    })
  }

  private planDefault(levels: readonly string[]): RoutePlan {
    const kafkaTopic = finishTopicName(encodeLevel(levels[0] as string))
    if (kafkaTopic === null) return { kind: 'unrouted' }
    // `m__x` is what `__x` becomes: see `claims`.
    if (encodeLevel(levels[0] as string).startsWith('m__')) return stolen(kafkaTopic)
    return {
      kind: 'routed',
      rule: null,
      kafkaTopic,
      key: null,
      partitionBy: null,
      headers: 'minimal',
      isOpenEnded: true,
    }
  }
}

function planRoute(route: CompiledRoute, rule: number, captures: Captures, mqttTopic: string): RoutePlan {
  const encoded = new Map([...captures].map(([name, levels]) => [name, encodeLevels(levels)]))
  const expanded = expand(route.topic, encoded)
  const kafkaTopic = expanded.length > expandedLengthMax ? null : finishTopicName(expanded)
  if (kafkaTopic === null) return { kind: 'unrouted' }
  if (route.isOpenEnded && !claims(route, expanded, encoded)) return stolen(kafkaTopic)
  const raw = new Map([...captures].map(([name, levels]) => [name, levels.join('/')]))
  raw.set(wholeTopic, mqttTopic)
  const key = route.key === null ? null : expand(route.key, raw)
  return {
    kind: 'routed',
    rule,
    kafkaTopic,
    key,
    partitionBy: route.partitionBy === null ? null : expand(route.partitionBy, raw),
    headers: route.headers,
    isOpenEnded: route.isOpenEnded,
  }
}

function stolen(kafkaTopic: string): RoutePlan {
  return { kind: 'refused', reason: `another MQTT topic has the better claim to the Kafka topic ${kafkaTopic}` }
}

/**
 * Two MQTT topics whose captures differ must not share a Kafka topic. Taking the name apart again has one result; only the captures that
 * it gives may have the name, whoever comes first.
 */
function claims(route: CompiledRoute, expanded: string, encoded: ReadonlyMap<string, string>): boolean {
  if (expanded.startsWith('m__')) return false
  const groups = route.topicPattern.exec(expanded)
  if (groups === null) return false
  const captureParts = route.topic.filter((part) => part.kind === 'capture')
  return captureParts.every((part, index) => groups[index + 1] === encoded.get(part.text))
}

function expand(template: readonly TemplatePart[], values: ReadonlyMap<string, string>): string {
  return template.map((part) => (part.kind === 'text' ? part.text : (values.get(part.text) ?? ''))).join('')
}

function matchFilter(filter: readonly FilterPart[], levels: readonly string[]): Captures | null {
  const captures = new Map<string, readonly string[]>()
  for (const [index, part] of filter.entries()) {
    if (part.kind === 'rest') {
      // `#` also matches its parent level (4.7.1.2); a capture of the rest needs something to capture.
      if (part.name === null) return captures
      if (index >= levels.length) return null
      captures.set(part.name, levels.slice(index))
      return captures
    }
    const level = levels[index]
    if (level === undefined || (part.kind === 'literal' && part.text !== level)) return null
    if (part.kind === 'one' && part.name !== null) captures.set(part.name, [level])
  }
  return filter.length === levels.length ? captures : null
}

/** Why a filter that does not match does not, for people. */
function mismatchOf(filter: readonly FilterPart[], levels: readonly string[]): string {
  for (const [index, part] of filter.entries()) {
    const level = levels[index]
    if (level === undefined) return `it has ${levels.length} levels, the filter asks for more`
    if (part.kind === 'literal' && part.text !== level) return `level ${index + 1} is "${level}", not "${part.text}"`
  }
  return `it has ${levels.length} levels, the filter ends after ${filter.length}`
}

function compileRoute(route: TopicRoute, position: number): CompiledRoute {
  const refuse = (reason: string): never => {
    throw new ApplianceError(mqttErrors.invalidRoute, { position, match: route.match, reason })
  }
  const filter = compileFilter(route.match, refuse)
  const names = new Set(filter.flatMap((part) => (part.kind !== 'literal' && part.name !== null ? [part.name] : [])))
  const topic = compileTemplate(route.topic, names, refuse)
  const sample = expand(topic, new Map([...names].map((name) => [name, 'x'])))
  if (!isLegalTopicName(sample)) refuse(`"${route.topic}" gives no legal Kafka topic name`)
  if (sample.startsWith('__')) refuse('names that begin with __ belong to internal topics')
  names.add(wholeTopic)
  const key = compileTemplate(route.key ?? `{${wholeTopic}}`, names, refuse)
  const partitionBy = route.partitionBy == null ? key : compileTemplate(route.partitionBy, names, refuse)
  return {
    filter,
    topic,
    topicPattern: topicPattern(topic, filter),
    key: isWholeTopic(key) ? null : key,
    partitionBy: isWholeTopic(partitionBy) ? null : partitionBy,
    headers: route.headers ?? 'minimal',
    isOpenEnded: topic.some((part) => part.kind === 'capture'),
  }
}

function isWholeTopic(template: readonly TemplatePart[]): boolean {
  return template.length === 1 && template[0]?.kind === 'capture' && template[0].text === wholeTopic
}

function compileFilter(match: string, refuse: (reason: string) => never): readonly FilterPart[] {
  const levels = match.split('/')
  if (match === '') refuse('the filter is empty')
  if (match.startsWith('$')) refuse('topics that begin with $ are not stored')
  const names = new Set<string>()
  return levels.map((level, index): FilterPart => {
    const isLast = index === levels.length - 1
    if (level === '+') return { kind: 'one', name: null }
    if (level === '#') return isLast ? { kind: 'rest', name: null } : refuse('# must be the last level')
    const capture = capturePattern.exec(level)
    if (capture === null) {
      if (/[+#{}\0]/.test(level)) refuse(`level "${level}" mixes text with a wildcard or a capture`)
      return { kind: 'literal', text: level }
    }
    const name = capture[1] as string
    if (names.has(name)) refuse(`{${name}} is there twice`)
    names.add(name)
    if (capture[2] === undefined) return { kind: 'one', name }
    return isLast ? { kind: 'rest', name } : refuse(`{${name}...} must be the last level`)
  })
}

function compileTemplate(
  template: string,
  names: ReadonlySet<string>,
  refuse: (reason: string) => never,
): readonly TemplatePart[] {
  const parts: TemplatePart[] = []
  let at = 0
  for (const place of template.matchAll(placePattern)) {
    const name = place[1] as string
    if (!names.has(name)) refuse(`"${template}" uses {${name}}, which the filter does not capture`)
    if (place.index > at) parts.push({ kind: 'text', text: template.slice(at, place.index) })
    parts.push({ kind: 'capture', text: name })
    at = place.index + place[0].length
  }
  if (at < template.length) parts.push({ kind: 'text', text: template.slice(at) })
  if (parts.some((part) => part.kind === 'text' && /[{}]/.test(part.text)))
    refuse(`"${template}" has a brace that is not a capture`)
  return parts
}

/** A capture of one level never holds `.`; the shortest reading wins. */
function topicPattern(topic: readonly TemplatePart[], filter: readonly FilterPart[]): RegExp {
  const rest = filter.find((part) => part.kind === 'rest')
  const source = topic.map((part) => {
    if (part.kind === 'text') return part.text.replace(/[.\\^$*+?()[\]{}|-]/g, '\\$&')
    return rest !== undefined && 'name' in rest && rest.name === part.text ? '(.*?)' : '([^.]*?)'
  })
  return new RegExp(`^${source.join('')}$`)
}
