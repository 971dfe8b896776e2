/** Why a message of an MQTT topic is stored where it is: what `headwater mqtt route` shows. Pure, and needs no running node. */
import { partitionForKey } from '../../base/murmur2.ts'
import { inspectUtf8, isValidTopicName, utf8Bytes, utf8Malformed } from '../../protocol/mqtt/utf8.ts'
import { type CommandRoute, compileCommandRoutes } from './command-route.ts'
import { isLegalTopicName } from './kafka-topic-name.ts'
import { RecordHeaderEncoder } from './record-headers.ts'
import { type HeaderLevel, type RoutePlan, TopicMapping, type TopicRoute } from './topic-mapping.ts'

export interface RouteQuestion {
  readonly topic: string
  readonly clientId: string
  readonly userName: string | null
  readonly level: 3 | 4 | 5
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** Partitions of the Kafka topic. */
  readonly partitions: number
}

export interface RouteRules {
  readonly routes: readonly TopicRoute[]
  readonly lastResortTopic: string
  readonly autoTopicsMax: number
  readonly commandRoutes: readonly CommandRoute[]
}

export interface RouteExplanation {
  readonly topic: string
  /** `last-resort`: stored, but by no rule. */
  readonly outcome: 'stored' | 'last-resort' | 'refused'
  /** Of what is not simply stored. */
  readonly reason: string | null
  /** Place in `mqtt.routes`, from 1; null = the default rule, or none was asked. */
  readonly rule: number | null
  readonly match: string | null
  /** No rule matches, and the default one decides. */
  readonly isDefault: boolean
  readonly captures: Readonly<Record<string, string>>
  /** The rules before it. */
  readonly passed: readonly { readonly rule: number; readonly match: string; readonly reason: string }[]
  /** Rules behind it that would match as well: they are never asked. */
  readonly shadowed: readonly number[]
  readonly stored: StoredAs | null
  /** Command routes that may give messages of this topic. */
  readonly commands: readonly PossibleCommand[]
  readonly notes: readonly string[]
}

export interface PossibleCommand {
  readonly name: string
  readonly kafkaTopic: string
  readonly mqttTopic: string
  /** What the places of the template hold then. */
  readonly places: Readonly<Record<string, string>>
}

export interface StoredAs {
  readonly kafkaTopic: string
  readonly key: string
  /** What is hashed, by murmur2, to choose the partition. */
  readonly partitionBy: string
  readonly partition: number
  readonly partitions: number
  readonly headerLevel: HeaderLevel
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly timestamp: string
}

/** Throws ApplianceError MQTT_ROUTE_INVALID or MQTT_COMMAND_ROUTE_INVALID for a rule that cannot be used. */
export function explainRoute(rules: RouteRules, question: RouteQuestion): RouteExplanation {
  const { topic } = question
  const mapping = new TopicMapping(rules.routes)
  const commandRoutes = compileCommandRoutes(rules.commandRoutes, mapping)
  const fault = topicFault(topic)
  if (fault !== null) return { ...unasked(topic), reason: fault }
  const plan = mapping.plan(topic)
  const verdicts = mapping.verdicts(topic)
  const at = topic.startsWith('$') ? -1 : verdicts.findIndex(({ kind }) => kind === 'matched')
  const matched = verdicts[at]
  const asked = {
    topic,
    commands: [...commandRoutes.values()].flatMap((compiled) => {
      const { name, kafkaTopic, mqttTopic } = compiled.route
      const places = compiled.placesOf(topic)
      return places === null ? [] : [{ name, kafkaTopic, mqttTopic, places }]
    }),
    rule: at < 0 ? null : at + 1,
    match: rules.routes[at]?.match ?? null,
    isDefault: at < 0 && !topic.startsWith('$'),
    captures: matched?.kind === 'matched' ? Object.fromEntries(matched.captures) : {},
    passed: topic.startsWith('$') ? [] : passedRules(rules.routes, verdicts.slice(0, at < 0 ? undefined : at)),
    shadowed:
      at < 0 ? [] : verdicts.flatMap(({ kind }, index) => (index > at && kind === 'matched' ? [index + 1] : [])),
  }
  if (plan.kind === 'refused') return { ...asked, outcome: 'refused', reason: plan.reason, stored: null, notes: [] }
  if (plan.kind === 'unrouted') {
    const reason = 'the rule gives no legal Kafka topic name'
    const stored = storedAs({ ...lastResort, kafkaTopic: rules.lastResortTopic }, question)
    return { ...asked, outcome: 'last-resort', reason, stored, notes: [] }
  }
  const stored = storedAs(plan, question)
  const commands = commandRoutes.get(plan.kafkaTopic)?.route.name
  const notes = notesOf(plan, { rules, question, route: rules.routes[at] ?? null, commands })
  return { ...asked, outcome: 'stored', reason: null, stored, notes }
}

type RoutedPlan = RoutePlan & { readonly kind: 'routed' }

const lastResort = {
  kind: 'routed',
  rule: null,
  key: null,
  partitionBy: null,
  headers: 'minimal',
  isOpenEnded: false,
} as const

function unasked(topic: string): RouteExplanation {
  return {
    topic,
    outcome: 'refused',
    reason: null,
    rule: null,
    match: null,
    isDefault: false,
    captures: {},
    passed: [],
    shadowed: [],
    stored: null,
    commands: [],
    notes: [],
  }
}

/** Why no client may publish to it. */
function topicFault(topic: string): string | null {
  const bytes = utf8Bytes(topic)
  if (isValidTopicName(bytes, 0, bytes.length)) return null
  if (bytes.length === 0) return 'a topic name has at least one character'
  if (bytes.length > 65_535) return 'a topic name has at most 65,535 bytes'
  const isMalformed = (inspectUtf8(bytes, 0, bytes.length) & utf8Malformed) !== 0
  return isMalformed ? 'it holds U+0000' : 'it holds a wildcard: that is a filter, and no topic name'
}

function passedRules(
  routes: readonly TopicRoute[],
  verdicts: ReturnType<TopicMapping['verdicts']>,
): RouteExplanation['passed'] {
  return verdicts.flatMap((verdict, index) =>
    verdict.kind === 'passed' ? [{ rule: index + 1, match: routes[index]?.match ?? '', reason: verdict.reason }] : [],
  )
}

function storedAs(plan: RoutedPlan, question: RouteQuestion): StoredAs {
  const { topic, clientId, userName, level, qos, retain, partitions } = question
  const hashed = plan.partitionBy ?? topic
  const headers = new RecordHeaderEncoder({ clientId, userName, level }).list({
    headers: plan.headers,
    qos,
    retain,
    isWill: false,
    topic: plan.key === null ? null : utf8Bytes(topic),
    properties: {},
    wallMs: 0,
    clockMark: null,
  })
  return {
    kafkaTopic: plan.kafkaTopic,
    key: plan.key ?? topic,
    partitionBy: hashed,
    partition: partitionForKey(utf8Bytes(hashed), partitions),
    partitions,
    headerLevel: plan.headers,
    headers: headers.map(({ key, value }) => [key, Buffer.from(value ?? []).toString()] as const),
    timestamp: 'when it is received (CreateTime), by the clock of this node',
  }
}

interface NoteFacts {
  readonly rules: RouteRules
  readonly question: RouteQuestion
  readonly route: TopicRoute | null
  /** The command route of the Kafka topic. */
  readonly commands: string | undefined
}

function notesOf(plan: RoutedPlan, { rules, question, route, commands }: NoteFacts): readonly string[] {
  const { kafkaTopic } = plan
  const notes: string[] = []
  if (plan.isOpenEnded) {
    notes.push(
      `the first publish creates ${kafkaTopic}, unless publishes have created ${rules.autoTopicsMax} topics (mqtt.autoTopicsMax): then it goes to ${rules.lastResortTopic}`,
    )
  }
  if (/[._]/.test(kafkaTopic) && isLegalTopicName(kafkaTopic)) {
    notes.push(`${kafkaTopic} cannot be created beside a topic whose name differs from it in . and _ only`)
  }
  if (/-x[0-9A-F]{2}/.test(kafkaTopic))
    notes.push('-xHH stands for a byte that a Kafka name has no place for, or a dot, which stands for /')
  if (plan.key !== null && route !== null && !tellsTopicsApart(route)) {
    notes.push('other MQTT topics may have the same key: compaction would keep the newest of all of them')
  }
  if (route?.schema != null)
    notes.push(`payloads must fit the JSON Schema in ${route.schema}: others are refused (0x99)`)
  if (plan.headers === 'none') notes.push('without headers subscribers get it at QoS 1 and without its properties')
  if (commands !== undefined) {
    notes.push(`${kafkaTopic} is read by command route ${commands}: what comes in by MQTT is no command there`)
  }
  const user = question.userName === null ? 'the client' : `User:${question.userName}`
  notes.push(`with an authorizer ${user} needs WRITE on Topic:${kafkaTopic}`)
  return notes
}

/** Does the key hold everything in which two MQTT topics of the rule can differ? */
function tellsTopicsApart({ match, key = '{mqtt.topic}' }: TopicRoute): boolean {
  if (key.includes('{mqtt.topic}')) return true
  const levels = match.split('/')
  if (levels.includes('+') || levels.includes('#')) return false
  const captures = [...match.matchAll(/\{([A-Za-z_][A-Za-z0-9_]*)(?:\.\.\.)?\}/g)].map((found) => found[1])
  return captures.every((name) => key.includes(`{${name}}`))
}
