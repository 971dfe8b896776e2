/** Topic filters (4.7): validity, matching of one filter, and a trie of many. No normalisation of any kind [MQTT-4.7.3-4]. */
import { LateMap } from '../../base/late-map.ts'

export type FilterVerdict = 'valid' | 'malformed' | 'tooDeep'

/** Levels a filter or a topic may have; a longer one cannot be matched in bounded time and memory. */
export const topicLevelsMax = 256

const sharedPrefix = '$share/'

/** The parts of a filter that asks for a shared subscription, `$share/NAME/FILTER` (4.8.2); null for any other. */
export function sharedFilterOf(filter: string): { readonly group: string; readonly filter: string } | null {
  if (filter === '$share') return { group: '', filter: '' }
  if (!filter.startsWith(sharedPrefix)) return null
  const end = filter.indexOf('/', sharedPrefix.length)
  if (end < 0) return { group: filter.slice(sharedPrefix.length), filter: '' }
  return { group: filter.slice(sharedPrefix.length, end), filter: filter.slice(end + 1) }
}

/** The filter itself: of a shared subscription what stands behind its name. */
export function plainFilterOf(subscription: string): string {
  return sharedFilterOf(subscription)?.filter ?? subscription
}

/** Whether a well-formed string is a topic filter; `tooDeep` = one by the rules, but with more levels than we match. */
export function judgeFilter(filter: string): FilterVerdict {
  const shared = sharedFilterOf(filter)
  if (shared !== null) {
    // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
    if (shared.group === '' || /[+#]/.test(shared.group)) return 'malformed'
    return judgePlain(shared.filter)
  }
  return judgePlain(filter)
}

function judgePlain(filter: string): FilterVerdict {
  if (filter.length === 0) return 'malformed' // [MQTT-4.7.3-1]
  const levels = filter.split('/')
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) return 'malformed' // [MQTT-4.7.1-1]
    if (level.includes('+') && level !== '+') return 'malformed' // [MQTT-4.7.1-2]
  }
  return levels.length > topicLevelsMax ? 'tooDeep' : 'valid'
}

/** True when the topic name matches the (valid) filter. */
export function filterMatches(filter: string, topic: string): boolean {
  const filterLevels = filter.split('/')
  const topicLevels = topic.split('/')
  if (topic.startsWith('$') && (filterLevels[0] === '#' || filterLevels[0] === '+')) return false // [MQTT-4.7.2-1]
  for (const [index, level] of filterLevels.entries()) {
    if (level === '#') return true
    if (index >= topicLevels.length) return false
    if (level !== '+' && level !== topicLevels[index]) return false
  }
  return filterLevels.length === topicLevels.length
}

/** The maps take no memory while they are empty: of most nodes two are. */
class FilterNode<T> {
  readonly children = new LateMap<string, FilterNode<T>>()
  /** Values of the filter that ends here. */
  readonly values = new LateMap<string, T>()
  /** Values of the filter that ends with `#` below here. */
  readonly belowValues = new LateMap<string, T>()
}

/**
 * Subscriptions by topic filter: each (filter, owner) holds one value. Bounded by `entriesMax` and by the characters of all filters: the caller asks
 * `hasRoomFor` before it adds.
 */
export class TopicFilterTrie<T> {
  private readonly root: FilterNode<T> = new FilterNode()
  private readonly entriesMax: number
  private readonly charactersMax: number
  private entries = 0
  private characters = 0

  constructor(entriesMax: number, charactersMax: number) {
    this.entriesMax = entriesMax
    this.charactersMax = charactersMax
  }

  /** Number of (filter, owner) pairs. */
  get size(): number {
    return this.entries
  }

  hasRoomFor(filter: string): boolean {
    return this.entries < this.entriesMax && this.characters + filter.length <= this.charactersMax
  }

  /** Sets the value of (filter, owner), replacing an earlier one. The filter must be valid. */
  set(filter: string, owner: string, value: T): void {
    const values = this.valuesOf(filter)
    if (!values.has(owner)) {
      this.entries += 1
      this.characters += filter.length
    }
    values.set(owner, value)
  }

  private valuesOf(filter: string): LateMap<string, T> {
    let node = this.root
    for (const level of filter.split('/')) {
      if (level === '#') return node.belowValues
      let child = node.children.get(level)
      if (child === undefined) {
        child = new FilterNode()
        node.children.set(level, child)
      }
      node = child
    }
    return node.values
  }

  /** Removes (filter, owner) and the nodes that nothing needs any more. Answers whether it was there. */
  delete(filter: string, owner: string): boolean {
    const levels = filter.split('/')
    const path: FilterNode<T>[] = [this.root]
    for (const level of levels) {
      if (level === '#') break
      const child = (path[path.length - 1] as FilterNode<T>).children.get(level)
      if (child === undefined) return false
      path.push(child)
    }
    const node = path[path.length - 1] as FilterNode<T>
    const values = levels[levels.length - 1] === '#' ? node.belowValues : node.values
    if (!values.delete(owner)) return false
    this.entries -= 1
    this.characters -= filter.length
    this.prune(path, levels)
    return true
  }

  private prune(path: readonly FilterNode<T>[], levels: readonly string[]): void {
    for (let depth = path.length - 1; depth > 0; depth -= 1) {
      const node = path[depth] as FilterNode<T>
      if (node.children.size > 0 || node.values.size > 0 || node.belowValues.size > 0) return
      ;(path[depth - 1] as FilterNode<T>).children.delete(levels[depth - 1] as string)
    }
  }

  /** Calls `visit` for every value whose filter matches the topic name; an owner with overlapping filters is visited once for each. */
  match(topic: string, visit: (value: T, owner: string) => void): void {
    const levels = topic.split('/')
    if (levels.length > topicLevelsMax) return
    this.matchFrom(this.root, { levels, depth: 0, hidesWildcards: topic.startsWith('$') }, visit)
  }

  private matchFrom(
    node: FilterNode<T>,
    place: { readonly levels: readonly string[]; readonly depth: number; readonly hidesWildcards: boolean },
    visit: (value: T, owner: string) => void,
  ): void {
    const { levels, depth } = place
    const wildcards = depth > 0 || !place.hidesWildcards // [MQTT-4.7.2-1]
    if (wildcards) node.belowValues.forEach(visit)
    if (depth === levels.length) {
      node.values.forEach(visit)
      return
    }
    const next = { levels, depth: depth + 1, hidesWildcards: place.hidesWildcards }
    const exact = node.children.get(levels[depth] as string)
    if (exact !== undefined) this.matchFrom(exact, next, visit)
    const any = wildcards ? node.children.get('+') : undefined
    if (any !== undefined) this.matchFrom(any, next, visit)
  }
}

/** Is it a topic of `$SYS`, or a filter that matches some? No wildcard at the first level does [MQTT-4.7.2-1]. */
export function isOfSys(topicOrFilter: string): boolean {
  return topicOrFilter === '$SYS' || topicOrFilter.startsWith('$SYS/')
}
