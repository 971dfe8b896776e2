/** Behind `headwater mqtt route`: the question with what the configuration says of topics. */
import { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { ApplianceConfig } from './config.ts'
import { mqttDoorOptions } from './config-rooms.ts'
import { explainRoute, type RouteExplanation, type RouteQuestion } from './ingest/mqtt/route-explanation.ts'

/** Throws an ApplianceError when a route cannot be used. */
export function explainMqttRoute(
  config: Pick<ApplianceConfig, 'kafka' | 'mqtt'>,
  question: Omit<RouteQuestion, 'partitions'> & { readonly partitions: number | null },
): RouteExplanation {
  const usual = new BrokerSettings(config.kafka).number('num.partitions')
  return explainRoute(mqttDoorOptions(config.mqtt), { ...question, partitions: question.partitions ?? usual })
}
