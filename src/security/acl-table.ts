/** The access control entries of the cluster, found by resource. Pure: the metadata image fills it. */
import { type AclEntry, aclKey, aclPattern, wildcard } from './acl.ts'

export class AclTable {
  /** By the id of their record; bounded by the controller. */
  readonly #entries = new Map<string, AclEntry>()
  readonly #keys = new Map<string, string>()
  readonly #literal = new Map<string, AclEntry[]>()
  readonly #prefixed = new Map<string, AclEntry[]>()
  #generation = 0

  /** Grows with every change: what was decided under another one may be wrong. */
  get generation(): number {
    return this.#generation
  }

  get size(): number {
    return this.#entries.size
  }

  entries(): ReadonlyMap<string, AclEntry> {
    return this.#entries
  }

  /** Is there an entry that says the same? */
  has(entry: AclEntry): boolean {
    return this.#keys.has(aclKey(entry))
  }

  add(id: string, entry: AclEntry): void {
    this.remove(id)
    this.#entries.set(id, entry)
    this.#keys.set(aclKey(entry), id)
    const index = this.#indexOf(entry)
    const place = placeOf(entry.resourceType, entry.resourceName)
    const known = index.get(place)
    if (known === undefined) index.set(place, [entry])
    else known.push(entry)
    this.#generation++
  }

  remove(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    if (this.#keys.get(aclKey(entry)) === id) this.#keys.delete(aclKey(entry))
    const index = this.#indexOf(entry)
    const place = placeOf(entry.resourceType, entry.resourceName)
    const left = (index.get(place) ?? []).filter((each) => each !== entry)
    if (left.length === 0) index.delete(place)
    else index.set(place, left)
    this.#generation++
  }

  /** Visits every entry that holds for a resource: its literal name, `*`, and each prefix of its name. */
  visit(resourceType: number, name: string, visitor: (entry: AclEntry) => void): void {
    for (const entry of this.#literal.get(placeOf(resourceType, name)) ?? []) visitor(entry)
    if (name !== wildcard) for (const entry of this.#literal.get(placeOf(resourceType, wildcard)) ?? []) visitor(entry)
    if (this.#prefixed.size === 0) return
    for (let length = 1; length <= name.length; length++) {
      for (const entry of this.#prefixed.get(placeOf(resourceType, name.slice(0, length))) ?? []) visitor(entry)
    }
  }

  #indexOf({ patternType }: AclEntry): Map<string, AclEntry[]> {
    return patternType === aclPattern.prefixed ? this.#prefixed : this.#literal
  }
}

function placeOf(resourceType: number, name: string): string {
  return `${resourceType} ${name}`
}
