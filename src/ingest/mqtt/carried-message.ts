/**
 * A message that a session's log carries, because it is not read from its topic again after a restart: a retained one, which may have been replaced by
 * then, and one of a shared subscription, which has gone on.
 */
import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import { propertyListAt } from '../../protocol/mqtt/packet-columns.ts'
import { decodeProperties, encodeProperties } from '../../protocol/mqtt/properties.ts'
import { utf8Bytes, utf8Text } from '../../protocol/mqtt/utf8.ts'
import { InflightDelivery } from './inflight-delivery.ts'
import { type MessageOrigin, OutgoingMessage } from './outgoing-message.ts'
import type { SharedGroup } from './shared-group.ts'

/** As JSON; bytes are base64. */
export interface CarriedMessage {
  readonly topic: string
  readonly payload: string
  readonly properties: string
  readonly expiresMs: number | null
  readonly qos: QualityOfService
  readonly retain: boolean
  readonly subscriptionIds: readonly number[]
}

export function carriedMessage({ message, qos, retain, subscriptionIds }: InflightDelivery): CarriedMessage {
  const { topic, payload, headers } = message
  return {
    topic: utf8Text(topic, 0, topic.length),
    payload: base64(payload),
    properties: base64(encodeProperties(headers.properties)),
    expiresMs: headers.expiresMs,
    qos,
    retain,
    subscriptionIds,
  }
}

/** The delivery again. */
export function deliveryOf(
  { topic, payload, properties, expiresMs, qos, retain, subscriptionIds }: CarriedMessage,
  { origin, group }: { readonly origin: MessageOrigin | null; readonly group: SharedGroup | null },
): InflightDelivery {
  const bytes = Buffer.from(properties, 'base64')
  const list = propertyListAt(bytes, 0, bytes.length)
  const headers = {
    topic: null,
    clientId: null,
    qos,
    retain,
    expiresMs,
    properties: decodeProperties(bytes, list.start, list.end, 'will'),
  }
  const message = new OutgoingMessage(utf8Bytes(topic), Buffer.from(payload, 'base64'), headers, origin)
  return new InflightDelivery({ message, qos, retain, subscriptionIds, group })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}
