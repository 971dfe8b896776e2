/**
 * The retained message of each topic (3.3.1.3), in a tree of topic levels that filters are walked through. Pure; the log is the truth.
 *
 * Made for a million of them: a message is one string of bytes (latin1), which takes 16 bytes beside its own where a typed array takes ten times that,
 * and a topic is spelled by its place in the tree. A PUBLISH is made of it when somebody is to have it.
 */
import { topicLevelsMax } from '../../protocol/mqtt/topic-filter.ts'
import { utf8Text } from '../../protocol/mqtt/utf8.ts'
import { OutgoingMessage } from './outgoing-message.ts'
import { decodeRecordHeaders, type MarkedTimes } from './record-headers.ts'
import { headersOf } from './record-scan.ts'

/** What is given to a new subscriber, as it is by the time that it is looked at. */
export interface RetainedEntry {
  readonly topic: string
  /** Null once it was taken away. Made anew at each call. */
  readonly message: OutgoingMessage | null
}

/** A message to be retained. */
export interface RetainedRecord {
  readonly topic: Uint8Array
  readonly payload: Uint8Array
  /** Section of record headers. */
  readonly headers: Uint8Array
  /** Wall ms, or null. */
  readonly expiresMs: number | null
}

/** What a level of a topic takes in memory: its node, its name, its slot in the map of the level above. */
const nodeBytes = 192
/** What the map of the levels below takes, its first few slots included. */
const mapBytes = 256
/** What a message takes beside its bytes. */
const messageBytes = 24

/** True when a filter could ever match the topic: a deeper one cannot be kept. */
export function isRetainable(topic: Uint8Array, start: number, end: number): boolean {
  let levels = 1
  for (let at = start; at < end; at += 1) if (topic[at] === slash) levels += 1
  return levels <= topicLevelsMax
}

const slash = 0x2f

class TopicNode implements RetainedEntry {
  readonly parent: TopicNode | null
  readonly level: string
  children: Map<string, TopicNode> | null = null
  /** Topic, payload and headers, one behind the other; null = nothing is retained here. */
  bytes: string | null = null
  private topicLength = 0
  private payloadLength = 0
  expiresMs: number | null = null

  constructor(parent: TopicNode | null, level: string) {
    this.parent = parent
    this.level = level
  }

  keep({ topic, payload, headers, expiresMs }: RetainedRecord): void {
    const joined = Buffer.allocUnsafe(topic.length + payload.length + headers.length)
    joined.set(topic)
    joined.set(payload, topic.length)
    joined.set(headers, topic.length + payload.length)
    this.bytes = joined.toString('latin1')
    this.topicLength = topic.length
    this.payloadLength = payload.length
    this.expiresMs = expiresMs
  }

  get topic(): string {
    if (this.bytes !== null) {
      const bytes = Buffer.from(this.bytes.slice(0, this.topicLength), 'latin1')
      return utf8Text(bytes, 0, bytes.length)
    }
    const { parent, level } = this
    return parent === null || parent.parent === null ? level : `${parent.topic}/${level}`
  }

  get message(): OutgoingMessage | null {
    if (this.bytes === null) return null
    const bytes = Buffer.from(this.bytes, 'latin1')
    const headersStart = this.topicLength + this.payloadLength
    return new OutgoingMessage(
      bytes.subarray(0, this.topicLength),
      bytes.subarray(this.topicLength, headersStart),
      decodeRecordHeaders(headersOf(bytes, { headersStart, headersEnd: bytes.length }), timesAbove(this)),
    )
  }
}

class RootNode extends TopicNode {
  readonly times: MarkedTimes | null

  constructor(times: MarkedTimes | null) {
    super(null, '')
    this.times = times
  }
}

function timesAbove(node: TopicNode): MarkedTimes | null {
  let at = node
  while (at.parent !== null) at = at.parent
  return at instanceof RootNode ? at.times : null
}

export class RetainedStore {
  private readonly root: TopicNode
  /** Those that expire one day. */
  private readonly expiring = new Set<TopicNode>()
  private count = 0
  private used = 0

  constructor(times: MarkedTimes | null = null) {
    this.root = new RootNode(times)
  }

  /** Messages kept. */
  get size(): number {
    return this.count
  }

  /** About what they take in memory. */
  get usedBytes(): number {
    return this.used
  }

  /** How much more would be used with a message of this topic, whose topic, payload and headers are so many bytes. */
  growth(topic: string, bytes: number): number {
    let more = messageBytes + bytes
    let node: TopicNode | undefined = this.root
    for (const level of topic.split('/')) {
      if (node !== undefined && node.children === null) more += mapBytes
      const child: TopicNode | undefined = node?.children?.get(level)
      if (child === undefined) more += node === undefined ? nodeBytes + mapBytes : nodeBytes
      node = child
    }
    return more - (node?.bytes == null ? 0 : messageBytes + node.bytes.length)
  }

  /** Sets the message of a topic. */
  set(topic: string, record: RetainedRecord): void {
    let node = this.root
    for (const level of topic.split('/')) {
      if (node.children === null) {
        node.children = new Map()
        this.used += mapBytes
      }
      let child = node.children.get(level)
      if (child === undefined) {
        child = new TopicNode(node, level)
        node.children.set(level, child)
        this.used += nodeBytes
      }
      node = child
    }
    this.release(node)
    node.keep(record)
    this.count += 1
    this.used += messageBytes + (node.bytes as string).length
    if (record.expiresMs !== null) this.expiring.add(node)
  }

  /** Takes the message of a topic away, if it has one. */
  remove(topic: string): void {
    let node: TopicNode | undefined = this.root
    for (const level of topic.split('/')) node = node?.children?.get(level)
    if (node === undefined || node.bytes === null) return
    this.release(node)
    for (let each: TopicNode = node; each.parent !== null; each = each.parent) {
      const { parent } = each
      if (each.bytes !== null || each.children !== null) return
      parent.children?.delete(each.level)
      this.used -= nodeBytes
      if (parent.children?.size !== 0) return
      parent.children = null
      this.used -= mapBytes
    }
  }

  private release(node: TopicNode): void {
    if (node.bytes === null) return
    this.count -= 1
    this.used -= messageBytes + node.bytes.length
    node.bytes = null
    if (node.expiresMs !== null) this.expiring.delete(node)
    node.expiresMs = null
  }

  /** Topics whose message has expired. */
  expired(wallMs: number): string[] {
    const topics: string[] = []
    for (const node of this.expiring) {
      if (node.expiresMs !== null && node.expiresMs <= wallMs && node.message?.isExpired(wallMs) === true) {
        topics.push(node.topic)
      }
    }
    return topics
  }

  /**
   * Walks what matches the (valid) filter: an entry, or null for each further step, so that the caller can stop for a while; what changes meanwhile is
   * seen or not.
   */
  *walk(filter: string): Generator<RetainedEntry | null, void, undefined> {
    const levels = filter.split('/')
    const openDepth = levels[levels.length - 1] === '#' ? levels.length - 1 : Number.POSITIVE_INFINITY
    const stack: { readonly nodes: Iterator<TopicNode>; readonly depth: number }[] = []
    const below = (node: TopicNode, depth: number): Iterator<TopicNode> | null => {
      if (node.children === null || (depth >= levels.length && depth < openDepth)) return null
      const level = levels[depth] as string
      if (depth >= openDepth || level === '+') return node.children.values()
      const child = node.children.get(level)
      return child === undefined ? null : [child].values()
    }
    const atRoot = below(this.root, 0)
    if (atRoot !== null) stack.push({ nodes: atRoot, depth: 1 })
    for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
      const next = top.nodes.next()
      if (next.done === true) {
        stack.pop()
        continue
      }
      const { value: node } = next
      const { depth } = top
      // [MQTT-4.7.2-1]
      const isHidden = depth === 1 && levels[0] !== node.level && node.level.startsWith('$')
      const nodes = isHidden ? null : below(node, depth)
      if (nodes !== null) stack.push({ nodes, depth: depth + 1 })
      // `#` matches its parent level too.
      yield !isHidden && (depth === levels.length || depth >= openDepth) && node.bytes !== null ? node : null
    }
  }
}
