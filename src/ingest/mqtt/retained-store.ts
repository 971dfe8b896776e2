/** The retained message of each topic (3.3.1.3), in a tree of topic levels that filters are walked through. Pure; the log is the truth. */
import { topicLevelsMax } from '../../protocol/mqtt/topic-filter.ts'
import type { OutgoingMessage } from './outgoing-message.ts'

/** One topic's place. A delivery that waits holds the place, so that what is sent is what is retained by then. */
export interface RetainedEntry {
  readonly topic: string
  /** Null once it was taken away. */
  message: OutgoingMessage | null
  sizeInBytes: number
}

interface TopicNode {
  readonly children: Map<string, TopicNode>
  entry: RetainedEntry | null
}

/** What an entry and each of its levels take beside the bytes of the message, about. */
const entryBytes = 400
const levelBytes = 160

/** What a retained message counts against the budget; `bytes` are those of topic, payload and headers. */
export function retainedSize(topic: string, bytes: number): number {
  return entryBytes + levelBytes * topic.split('/').length + bytes
}

/** True when a filter could ever match the topic: a deeper one cannot be kept. */
export function isRetainable(topic: Uint8Array, start: number, end: number): boolean {
  let levels = 1
  for (let at = start; at < end; at += 1) if (topic[at] === slash) levels += 1
  return levels <= topicLevelsMax
}

const slash = 0x2f

export class RetainedStore {
  private readonly root: TopicNode = { children: new Map(), entry: null }
  private readonly entries = new Map<string, RetainedEntry>()
  private used = 0

  /** Messages kept. */
  get size(): number {
    return this.entries.size
  }

  get usedBytes(): number {
    return this.used
  }

  /** What the topic's message counts now; 0 = it has none. */
  sizeOf(topic: string): number {
    return this.entries.get(topic)?.sizeInBytes ?? 0
  }

  /** Sets the topic's message, or takes it away (null). */
  apply(topic: string, message: OutgoingMessage | null, sizeInBytes: number): void {
    const known = this.entries.get(topic)
    if (message === null) {
      if (known !== undefined) this.remove(known)
      return
    }
    if (known !== undefined) {
      this.used += sizeInBytes - known.sizeInBytes
      known.message = message
      known.sizeInBytes = sizeInBytes
      return
    }
    const entry: RetainedEntry = { topic, message, sizeInBytes }
    this.used += sizeInBytes
    this.entries.set(topic, entry)
    let node = this.root
    for (const level of topic.split('/')) {
      let child = node.children.get(level)
      if (child === undefined) {
        child = { children: new Map(), entry: null }
        node.children.set(level, child)
      }
      node = child
    }
    node.entry = entry
  }

  private remove(entry: RetainedEntry): void {
    entry.message = null
    this.used -= entry.sizeInBytes
    this.entries.delete(entry.topic)
    const levels = entry.topic.split('/')
    const path: TopicNode[] = [this.root]
    for (const level of levels) {
      const child = (path[path.length - 1] as TopicNode).children.get(level)
      if (child === undefined) return
      path.push(child)
    }
    ;(path[path.length - 1] as TopicNode).entry = null
    for (let depth = path.length - 1; depth > 0; depth -= 1) {
      const node = path[depth] as TopicNode
      if (node.entry !== null || node.children.size > 0) return
      ;(path[depth - 1] as TopicNode).children.delete(levels[depth - 1] as string)
    }
  }

  /** Topics whose message has expired. */
  expired(wallMs: number): string[] {
    const topics: string[] = []
    for (const { topic, message } of this.entries.values()) if (message?.isExpired(wallMs)) topics.push(topic)
    return topics
  }

  /** Visits the entries whose topic matches the (valid) filter. */
  match(filter: string, visit: (entry: RetainedEntry) => void): void {
    const levels = filter.split('/')
    if (!/[+#]/.test(filter)) {
      const entry = this.entries.get(filter)
      if (entry !== undefined) visit(entry)
      return
    }
    let nodes: TopicNode[] = [this.root]
    for (const [depth, level] of levels.entries()) {
      if (level === '#') {
        for (const node of nodes) visitBelow(node, depth === 0, visit)
        return
      }
      const next: TopicNode[] = []
      for (const node of nodes) {
        if (level === '+') {
          for (const [name, child] of node.children) if (depth > 0 || !name.startsWith('$')) next.push(child)
        } else {
          const child = node.children.get(level)
          if (child !== undefined) next.push(child)
        }
      }
      nodes = next
    }
    for (const { entry } of nodes) if (entry !== null) visit(entry)
  }
}

/** The node itself (`#` matches its parent level) and everything below; at the top without the topics that begin with $ [MQTT-4.7.2-1]. */
function visitBelow(top: TopicNode, hidesDollar: boolean, visit: (entry: RetainedEntry) => void): void {
  const stack: TopicNode[] = [top]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.entry !== null) visit(node.entry)
    for (const [name, child] of node.children) {
      if (node !== top || !hidesDollar || !name.startsWith('$')) stack.push(child)
    }
  }
}
