/** Identities that several rooms share. */

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** `topic-partition`, as the folder on disk is named: the key of every map of partitions. */
export function topicPartitionKey(topic: string, partition: number): string {
  return `${topic}-${partition}`
}

/** Kafka's textual form of a 16-byte UUID: URL-safe base64 without padding, 22 characters. */
export function uuidToString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('base64url')
}

/** The 16 bytes of Kafka's textual form. */
export function uuidFromString(text: string): Uint8Array {
  return Buffer.from(text, 'base64url')
}

/** All zero: "no topic id". */
export const zeroUuid = 'AAAAAAAAAAAAAAAAAAAAAA'
