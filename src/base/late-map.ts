/**
 * A map that takes no memory for entries until it has one: a tenth of what an empty `Map` takes. For what there are tens of thousands of,
 * each with a handful of maps that stay empty in most.
 */
const nothing: ReadonlyMap<never, never> = new Map<never, never>()

export class LateMap<K, V> implements Map<K, V> {
  #entries: Map<K, V> | null = null

  get size(): number {
    return this.#entries === null ? 0 : this.#entries.size
  }

  get(key: K): V | undefined {
    return this.#entries === null ? undefined : this.#entries.get(key)
  }

  has(key: K): boolean {
    return this.#entries !== null && this.#entries.has(key)
  }

  set(key: K, value: V): this {
    this.#entries ??= new Map()
    this.#entries.set(key, value)
    return this
  }

  delete(key: K): boolean {
    return this.#entries !== null && this.#entries.delete(key)
  }

  clear(): void {
    this.#entries = null
  }

  keys(): MapIterator<K> {
    return (this.#entries ?? nothing).keys()
  }

  values(): MapIterator<V> {
    return (this.#entries ?? nothing).values()
  }

  entries(): MapIterator<[K, V]> {
    return (this.#entries ?? nothing).entries()
  }

  forEach(visit: (value: V, key: K, map: Map<K, V>) => void): void {
    this.#entries?.forEach((value, key) => visit(value, key, this))
  }

  get [Symbol.toStringTag](): string {
    return 'LateMap'
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }
}
