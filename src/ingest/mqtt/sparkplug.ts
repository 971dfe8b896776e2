/**
 * Sparkplug B 3.0 (`mqtt.sparkplug`): a rule that keeps the order of each edge node, and what makes an MQTT server "aware": the birth certificates of edge
 * nodes and devices, kept under topics of their own. Payloads are not looked into.
 */
import type { TopicRoute } from './topic-mapping.ts'

export interface SparkplugOptions {
  /** Kafka topic of all messages under `spBv1.0/`. */
  readonly topic: string
  /** Kafka topic of the birth certificates. */
  readonly certificatesTopic: string
}

/** Below it stands what the server makes; no client may publish there. */
export const certificatePrefix = '$sparkplug/certificates/'

/** Rules behind those of the operator. `seq` counts over all messages of an edge node and its devices, whatever their type. */
export function sparkplugRoutes(options: SparkplugOptions | null): readonly TopicRoute[] {
  if (options === null) return []
  const { topic } = options
  return [
    { match: 'spBv1.0/{group}/{type}/{edge}/#', topic, partitionBy: '{group}/{edge}' },
    // STATE of host applications has a level less.
    { match: 'spBv1.0/#', topic },
  ]
}

/** `spBv1.0/GROUP/NBIRTH/EDGE` and `spBv1.0/GROUP/DBIRTH/EDGE/DEVICE`; an id has at least one character. */
const birthPattern = /^spBv1\.0\/[^/]+\/(NBIRTH\/[^/]+|DBIRTH\/[^/]+\/[^/]+)$/

/** The topic that the birth certificate of this topic is kept under; null when messages of the topic are none. */
export function certificateTopicOf(topic: string): string | null {
  return birthPattern.test(topic) ? certificatePrefix + topic : null
}
