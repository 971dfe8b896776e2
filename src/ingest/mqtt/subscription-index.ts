import { sharedFilterOf, TopicFilterTrie } from '../../protocol/mqtt/topic-filter.ts'
import type { MqttSession } from './session.ts'
import type { Subscription } from './session-types.ts'
import { SharedGroup } from './shared-group.ts'

/** Who gets a message: a session for a subscription of its own, or a shared subscription. */
export type Subscriber = Subscription | SharedGroup

/** All subscriptions of the door by topic filter. Every filter that it is given is valid. */
export class SubscriptionIndex {
  private readonly trie: TopicFilterTrie<Subscriber>
  private readonly groups = new Map<string, SharedGroup>()
  private members = 0

  private readonly onGroupEnd: (group: SharedGroup) => void

  /** `onGroupEnd` is called when the last member of a shared subscription has left. */
  constructor(entriesMax: number, charactersMax: number, onGroupEnd: (group: SharedGroup) => void) {
    this.onGroupEnd = onGroupEnd
    this.trie = new TopicFilterTrie(entriesMax, charactersMax)
  }

  /** Subscriptions, each member of a shared one counted. */
  get size(): number {
    return this.trie.size - this.groups.size + this.members
  }

  /** Shared subscriptions, whatever the number of their members. */
  get sharedCount(): number {
    return this.groups.size
  }

  hasRoomFor(filter: string): boolean {
    return this.groups.has(filter) || this.trie.hasRoomFor(filter)
  }

  /** Adds a subscription. */
  set(subscription: Subscription): void {
    const { filter, session } = subscription
    const shared = sharedFilterOf(filter)
    if (shared === null) {
      this.trie.set(filter, ownOwner(session), subscription)
      return
    }
    let group = this.groups.get(filter)
    if (group === undefined) {
      group = new SharedGroup(filter, shared.filter)
      this.groups.set(filter, group)
      this.trie.set(shared.filter, groupOwner(shared.group), group)
    }
    const before = group.size
    group.set(subscription)
    session.groups.set(group, true)
    this.members += group.size - before
  }

  /** Takes a subscription away; what waited for a member of a shared one goes to the others. */
  delete(filter: string, session: MqttSession, wallMs: number): void {
    const shared = sharedFilterOf(filter)
    if (shared === null) {
      this.trie.delete(filter, ownOwner(session))
      return
    }
    const group = this.groups.get(filter)
    if (group === undefined || !group.delete(session)) return
    this.members -= 1
    session.groups.delete(group)
    group.takeBack(session.giveBackQueued(group), wallMs)
    if (group.size > 0) return
    this.onGroupEnd(group)
    this.groups.delete(filter)
    this.trie.delete(shared.filter, groupOwner(shared.group))
  }

  /** All shared subscriptions. */
  shared(): Iterable<SharedGroup> {
    return this.groups.values()
  }

  match(topic: string, visit: (subscriber: Subscriber) => void): void {
    this.trie.match(topic, visit)
  }
}

/** Owners of two kinds in one trie: no client id can be taken for a group. */
function ownOwner(session: MqttSession): string {
  return `c${session.clientId}`
}

function groupOwner(group: string): string {
  return `g${group}`
}
