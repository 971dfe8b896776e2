/**
 * What births say of metrics, at hand for the messages after them. A cache in front of the birth certificates, which are retained messages: what was put out of
 * it, or was there before a restart, is read from them again.
 */
import type { BirthNames } from '../../protocol/sparkplug/birth-names.ts'
import { noBirthNames } from '../../protocol/sparkplug/birth-names.ts'
import type { SparkplugCodec } from '../../protocol/sparkplug/payload-codec.ts'
import type { Sliced } from '../../protocol/sparkplug/wire-fields.ts'
import type { Saving } from './commit-batch.ts'
import type { RetainedKeeper } from './retained-keeper.ts'

interface KnownBirth {
  readonly names: BirthNames
  /** Its certificate is on its way to the log: until then only this knows it. */
  isPending: boolean
}

/** A birth of 5,000 metrics takes about 1.2 MB. */
const namesBytesMax = 16_777_216
/** Of an entry, beside its names. */
const entryBytes = 400

export class KnownBirths {
  private readonly codec: SparkplugCodec
  private readonly retained: Pick<RetainedKeeper, 'walk'>
  private readonly bytesMax: number
  /** By the topic of the certificate; the one not used for longest is the first. */
  private readonly births = new Map<string, KnownBirth>()
  private usedBytes = 0

  constructor(codec: SparkplugCodec, retained: Pick<RetainedKeeper, 'walk'>, bytesMax = namesBytesMax) {
    this.codec = codec
    this.retained = retained
    this.bytesMax = bytesMax
  }

  get size(): number {
    return this.births.size
  }

  /** Bytes of a birth that would have to be read to know its names. */
  unreadBytes(topic: string): number {
    return this.births.has(topic) ? 0 : (this.certificateOf(topic)?.length ?? 0)
  }

  /** Null: no birth is known. A birth that cannot be read has no names. */
  *find(topic: string): Sliced<BirthNames | null> {
    const known = this.births.get(topic)
    if (known !== undefined) {
      this.births.delete(topic)
      this.births.set(topic, known)
      return known.names
    }
    const certificate = this.certificateOf(topic)
    if (certificate === null) return null
    const read = yield* this.codec.namesOf(certificate)
    const names = 'reason' in read ? noBirthNames : read
    // A newer birth may have come while this one was read.
    const newer = this.births.get(topic)
    if (newer !== undefined) return newer.names
    this.put(topic, { names, isPending: false })
    return names
  }

  /** A birth is in the set that is being saved: messages behind it are understood by it, unless it is refused after all. */
  keep(topic: string, names: BirthNames, saving: Saving): void {
    const birth = { names, isPending: true }
    this.put(topic, birth)
    saving.whenSettled((isDurable) => {
      birth.isPending = false
      if (!isDurable && this.births.get(topic) === birth) this.remove(topic, birth)
    })
  }

  private certificateOf(topic: string): Uint8Array | null {
    for (const entry of this.retained.walk(topic)) if (entry !== null) return entry.message?.payload ?? null
    return null
  }

  private put(topic: string, birth: KnownBirth): void {
    const before = this.births.get(topic)
    if (before !== undefined) this.remove(topic, before)
    this.births.set(topic, birth)
    this.usedBytes += birth.names.sizeBytes + entryBytes
    for (const [oldest, known] of this.births) {
      if (this.usedBytes <= this.bytesMax || known === birth) break
      if (!known.isPending) this.remove(oldest, known)
    }
  }

  private remove(topic: string, { names }: KnownBirth): void {
    this.births.delete(topic)
    this.usedBytes -= names.sizeBytes + entryBytes
  }
}
