import { type EncodedPublish, writePublish } from '../../../src/protocol/mqtt/encode.ts'

/** What a connection sends of a PUBLISH. */
export function packetBytes(publish: EncodedPublish, packetId: number, duplicate: boolean): Uint8Array {
  const bytes = publish.memory.slice(publish.start, publish.end)
  if (publish.packetIdAt >= 0) writePublish(bytes, 0, publish, packetId, duplicate)
  return bytes
}
