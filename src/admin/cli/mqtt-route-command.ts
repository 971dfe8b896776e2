/** `headwater mqtt route`: what becomes of messages of one MQTT topic. */
import type { RouteExplanation, RouteQuestion } from '../../ingest/mqtt/route-explanation.ts'
import { formatFacts, printResult } from './output.ts'

/** The question as the command line asks it; without partitions those of a new topic are meant. */
export type AskedRoute = Omit<RouteQuestion, 'partitions'> & { readonly partitions: number | null }

/** False when the messages are not stored. */
export function printRoute(explanation: RouteExplanation, asJson: boolean): boolean {
  printResult(explanation, asJson, () => textOf(explanation))
  return explanation.outcome !== 'refused'
}

function textOf(explanation: RouteExplanation): string {
  const { topic, outcome, reason, stored, passed, shadowed, commands, notes } = explanation
  const facts: (readonly [string, string])[] = [['MQTT topic', topic]]
  for (const { rule, match, reason: why } of passed) facts.push([`rule ${rule}`, `${match}: ${why}`])
  facts.push(['rule', ruleText(explanation)])
  if (shadowed.length > 0) facts.push(['never asked', `rule ${shadowed.join(', ')}: would match too`])
  if (reason !== null) facts.push([outcome === 'refused' ? 'refused' : 'last resort', reason])
  if (stored !== null) {
    const { kafkaTopic, key, partitionBy, partition, partitions, headerLevel, headers, timestamp } = stored
    const hashed = partitionBy === key ? 'the key' : `"${partitionBy}"`
    facts.push(['Kafka topic', kafkaTopic], ['record key', key])
    facts.push(['partition', `${partition} of ${partitions}, by the hash of ${hashed}`], ['timestamp', timestamp])
    facts.push(['headers', `${headerLevel}${headers.map(([name, value]) => ` ${name}=${value}`).join('')}`])
  }
  for (const { name, kafkaTopic, mqttTopic, places } of commands) {
    const values = Object.entries(places).map(([place, value]) => `${place}=${value}`)
    const where = values.length === 0 ? '' : ` where ${values.join(', ')}`
    facts.push(['commands', `${name}: records of Kafka topic ${kafkaTopic}${where} come under it, by ${mqttTopic}`])
  }
  for (const note of notes) facts.push(['note', note])
  return formatFacts(facts)
}

function ruleText({ rule, match, captures, isDefault }: RouteExplanation): string {
  if (rule === null) return isDefault ? 'the default: the first level is the Kafka topic' : 'none'
  const values = Object.entries(captures).map(([name, value]) => `${name}=${value}`)
  return `${rule} of mqtt.routes, ${match}${values.length === 0 ? '' : ` (${values.join(', ')})`}`
}
