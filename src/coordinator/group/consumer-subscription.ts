/**
 * The subscription of a member of protocol type `consumer` (ConsumerProtocolSubscription): of it we read the topics only, which
 * every version has first: version int16, then an array of strings.
 */

/** Topics of one subscription at most: a bound against a length that lies. */
const topicsMax = 100_000

/** The subscribed topics, or null when these bytes are no subscription. */
export function subscribedTopicsOf(metadata: Uint8Array): readonly string[] | null {
  const view = new DataView(metadata.buffer, metadata.byteOffset, metadata.length)
  if (view.byteLength < 6 || view.getInt16(0) < 0) return null
  const count = view.getInt32(2)
  if (count < 0 || count > topicsMax) return null
  const topics: string[] = []
  let at = 6
  for (let index = 0; index < count; index++) {
    if (at + 2 > view.byteLength) return null
    const length = view.getInt16(at)
    const end = at + 2 + length
    if (length < 0 || end > view.byteLength) return null
    topics.push(Buffer.from(metadata.buffer, metadata.byteOffset + at + 2, length).toString('utf8'))
    at = end
  }
  return topics
}
