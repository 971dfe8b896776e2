/**
 * Sparkplug B 3.0 (`mqtt.sparkplug`): a rule that keeps the order of each edge node, and what makes an MQTT server "aware": the birth certificates of edge
 * nodes and devices, kept under topics of their own. Payloads are looked into only where they are to be decoded (`sparkplug-decoder.ts`).
 */
import type { SparkplugSource } from '../../protocol/sparkplug/payload-json.ts'
import type { TopicRoute } from './topic-mapping.ts'

export interface SparkplugOptions {
  /** Kafka topic of all messages under `spBv1.0/`. */
  readonly topic: string
  /** Kafka topic of the birth certificates. */
  readonly certificatesTopic: string
  /** Kafka topic of the messages as JSON; null = they are not decoded. */
  readonly decodedTopic: string | null
  /** Larger payloads are stored and not decoded. */
  readonly decodedPayloadBytesMax: number
}

/** Below these stands what the server makes; no client may publish there. */
export const certificatePrefix = '$sparkplug/certificates/'
export const decodedPrefix = '$sparkplug/decoded/'

/** Rules behind those of the operator. `seq` counts over all messages of an edge node and its devices, whatever their type. */
export function sparkplugRoutes(options: Pick<SparkplugOptions, 'topic'> | null): readonly TopicRoute[] {
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

const messagePattern =
  /^spBv1\.0\/(?<group>[^/]+)\/(?:(?<node>NBIRTH|NDATA|NCMD|NDEATH)\/(?<edge>[^/]+)|(?<child>DBIRTH|DDATA|DCMD|DDEATH)\/(?<parent>[^/]+)\/(?<device>[^/]+))$/

/** Who speaks, or is spoken to, in messages of the topic; null when their payloads are not those of Sparkplug (STATE is JSON already). */
export function sparkplugSourceOf(topic: string): SparkplugSource | null {
  const found = messagePattern.exec(topic)?.groups
  if (found === undefined) return null
  const { group = '', node, edge, child, parent, device } = found
  return {
    groupId: group,
    messageType: node ?? child ?? '',
    edgeNodeId: edge ?? parent ?? '',
    deviceId: device ?? null,
  }
}

/** Where the birth of a node or a device stands. */
export function birthTopicOf({ groupId, edgeNodeId }: SparkplugSource, deviceId: string | null): string {
  return deviceId === null
    ? `${certificatePrefix}spBv1.0/${groupId}/NBIRTH/${edgeNodeId}`
    : `${certificatePrefix}spBv1.0/${groupId}/DBIRTH/${edgeNodeId}/${deviceId}`
}

/** What keeps the order of an edge node among the decoded messages. */
export function decodedPartitionBy({ groupId, edgeNodeId }: SparkplugSource): string {
  return `${groupId}/${edgeNodeId}`
}
