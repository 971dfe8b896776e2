/** The access control entries of the cluster, found by resource. Pure: the metadata image fills it. */
import { type AclEntry, aclKey, aclPattern, everybody, wildcard } from './acl.ts'

/** Entries by their principal: a resource that all devices share has one of each. */
type Bucket = Map<string, AclEntry[]>

export class AclTable {
  /** By the id of their record; bounded by the controller. */
  readonly #entries = new Map<string, AclEntry>()
  readonly #keys = new Map<string, string>()
  readonly #literal = new Map<string, Bucket>()
  readonly #prefixed = new Map<string, Bucket>()
  /** How many entries have a prefix of this length: of a name of 30,000 characters no other beginnings are looked for. */
  readonly #prefixLengths = new Map<number, number>()
  readonly #byPrincipal: Bucket = new Map()
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
    const bucket = index.get(place) ?? new Map<string, AclEntry[]>()
    index.set(place, bucket)
    put(bucket, entry)
    this.#countPrefix(entry, 1)
    put(this.#byPrincipal, entry)
    this.#generation++
  }

  remove(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    if (this.#keys.get(aclKey(entry)) === id) this.#keys.delete(aclKey(entry))
    const index = this.#indexOf(entry)
    const place = placeOf(entry.resourceType, entry.resourceName)
    const bucket = index.get(place)
    if (bucket !== undefined) take(bucket, entry)
    if (bucket?.size === 0) index.delete(place)
    this.#countPrefix(entry, -1)
    take(this.#byPrincipal, entry)
    this.#generation++
  }

  /**
   * Visits the entries of a principal, and those of everybody, that hold for a resource: its literal name, `*`, and each prefix of its name.
   * False: there is none at all for the resource, whoever it is of.
   */
  visit(
    { resourceType, name, principal }: { resourceType: number; name: string; principal: string },
    visitor: (entry: AclEntry) => void,
  ): boolean {
    let hasEntry = false
    const look = (bucket: Bucket | undefined): void => {
      if (bucket === undefined) return
      hasEntry = true
      for (const entry of bucket.get(principal) ?? []) visitor(entry)
      if (principal !== everybody) for (const entry of bucket.get(everybody) ?? []) visitor(entry)
    }
    look(this.#literal.get(placeOf(resourceType, name)))
    if (name !== wildcard) look(this.#literal.get(placeOf(resourceType, wildcard)))
    for (const length of this.#prefixLengths.keys()) {
      if (length > 0 && length <= name.length) look(this.#prefixed.get(placeOf(resourceType, name.slice(0, length))))
    }
    return hasEntry
  }

  /** The entries of a principal, without those of everybody. */
  ofPrincipal(principal: string): readonly AclEntry[] {
    return this.#byPrincipal.get(principal) ?? []
  }

  #countPrefix({ patternType, resourceName }: AclEntry, change: number): void {
    if (patternType !== aclPattern.prefixed) return
    const count = (this.#prefixLengths.get(resourceName.length) ?? 0) + change
    if (count === 0) this.#prefixLengths.delete(resourceName.length)
    else this.#prefixLengths.set(resourceName.length, count)
  }

  #indexOf({ patternType }: AclEntry): Map<string, Bucket> {
    return patternType === aclPattern.prefixed ? this.#prefixed : this.#literal
  }
}

function put(bucket: Bucket, entry: AclEntry): void {
  const known = bucket.get(entry.principal)
  if (known === undefined) bucket.set(entry.principal, [entry])
  else known.push(entry)
}

function take(bucket: Bucket, entry: AclEntry): void {
  const left = (bucket.get(entry.principal) ?? []).filter((each) => each !== entry)
  if (left.length === 0) bucket.delete(entry.principal)
  else bucket.set(entry.principal, left)
}

function placeOf(resourceType: number, name: string): string {
  return `${resourceType} ${name}`
}
