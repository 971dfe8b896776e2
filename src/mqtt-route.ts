/** Behind `headwater mqtt route`: the question with what the configuration says of topics. */
import { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { ApplianceConfig } from './config.ts'
import { mqttDoorOptions } from './config-rooms.ts'
import { explainRoute, type RouteExplanation, type RouteQuestion } from './ingest/mqtt/route-explanation.ts'
import { partitionForKey } from './base/murmur2.ts'
import { utf8Bytes } from './protocol/mqtt/utf8.ts'
import { certificateTopicOf, decodedPartitionBy, decodedPrefix, sparkplugSourceOf } from './ingest/mqtt/sparkplug.ts'

/** Throws an ApplianceError when a route cannot be used. */
export function explainMqttRoute(
  config: Pick<ApplianceConfig, 'kafka' | 'mqtt'>,
  question: Omit<RouteQuestion, 'partitions'> & { readonly partitions: number | null },
): RouteExplanation {
  const usual = new BrokerSettings(config.kafka).number('num.partitions')
  const partitions = question.partitions ?? usual
  const explanation = explainRoute(mqttDoorOptions(config.mqtt), { ...question, partitions })
  return { ...explanation, notes: [...sparkplugNotes(config, explanation, partitions), ...explanation.notes] }
}

/** What `mqtt.sparkplug` has to do with it. */
function sparkplugNotes(
  { mqtt }: Pick<ApplianceConfig, 'mqtt'>,
  { topic, rule, outcome }: RouteExplanation,
  partitions: number,
): readonly string[] {
  if (mqtt.sparkplug === null || outcome === 'refused') return []
  const notes: string[] = []
  if (rule !== null && rule > mqtt.routes.length)
    notes.push(`rule ${rule} stands behind mqtt.routes for mqtt.sparkplug`)
  const certificate = certificateTopicOf(topic)
  if (certificate !== null) {
    notes.push(`a birth: kept as ${certificate}, and in the Kafka topic ${mqtt.sparkplug.certificatesTopic}`)
  }
  const source = sparkplugSourceOf(topic)
  const { decodedTopic } = mqtt.sparkplug
  if (source !== null && decodedTopic !== null) {
    const partitionBy = decodedPartitionBy(source)
    const partition = partitionForKey(utf8Bytes(partitionBy), partitions)
    notes.push(
      `decoded: as JSON under ${decodedPrefix}${topic}, in partition ${partition} of ${partitions} (by ${partitionBy}) of the Kafka topic ${decodedTopic}`,
    )
  }
  return notes
}
