/** How much one request may name: each thing is work of the loop and bytes of an answer, and a frame has room for millions. */

/**
 * Members of all lists of a request together. A node has 20,000 partitions at most: each may stand in a topic of its own, with a list of its
 * one replica.
 */
export const namedMax = 60_000
/** A frame below this size has no room for too many. */
const frameBytesMin = 16_384

/** Does a request that came in a frame of this size name more than it may? */
export function tooMany(request: unknown, frameBytes: number): boolean {
  return frameBytes >= frameBytesMin && membersOf(request) > namedMax
}

/** Deep as the schema of the message, which does not recurse. */
function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return 0
  let members = Array.isArray(value) ? value.length : 0
  for (const part of Array.isArray(value) ? value : Object.values(value)) {
    if (members > namedMax) break
    members += membersOf(part)
  }
  return members
}
