/**
 * The certificates of listeners: read from PEM files at start, looked at again every few seconds, and replaced in the running
 * listeners when their content has changed. What cannot be used is told once and the old certificate stays in force: a renewal that
 * writes its files one after the other is picked up when the last of them is there.
 */
import { ApplianceError, asError } from '../base/errors.ts'
import type {
  Clock,
  CrlAge,
  Disk,
  Observer,
  Timer,
  TlsClientAuth,
  TlsContext,
  TlsFacts,
  TlsKeyPair,
  TlsMaterial,
} from '../base/ports.ts'
import { securityErrors } from './security-errors.ts'
import { securityEvents } from './security-events.ts'
import { securityMetrics } from './security-metrics.ts'

interface TlsPairFiles {
  readonly certificate: string
  readonly key: string
}

export interface TlsFiles extends TlsPairFiles {
  /** For clients that ask for another host name (SNI). */
  readonly moreCertificates?: readonly TlsPairFiles[]
  readonly clientCa: string | null
  readonly clientCrl?: string | null
  readonly clientAuth: TlsClientAuth
}

export interface TlsKeeperParts<C extends TlsContext> {
  readonly disk: Pick<Disk, 'readFile'>
  readonly net: { tlsContext(clientAuth: TlsClientAuth): C }
  readonly clock: Clock
  readonly observer: Observer
  /** How often the files are looked at; `lookEveryMs` when omitted. */
  readonly lookEveryMs?: number
}

/** Between two looks at the files: three small reads, and a renewed certificate is in force soon enough. */
const lookEveryMs = 5_000
/** A chain of a few certificates, or a bundle of authorities. */
const pemBytesMax = 1_048_576
const dayMs = 86_400_000
/** From here on the log warns, once a day. */
const warnBeforeMs = 30 * dayMs
/** Of a revocation list, which lives for days or weeks. */
const warnCrlBeforeMs = 2 * dayMs

interface Kept {
  readonly listener: string
  readonly files: TlsFiles
  readonly context: TlsContext
  /** What is in force. */
  material: TlsMaterial
  facts: TlsFacts
  /** What was refused last, and why; told once. */
  refused: { readonly material: TlsMaterial | null; readonly reason: string } | null
  warnedAtMs: number
  warnedCrlAtMs: number
}

export class TlsKeeper<C extends TlsContext = TlsContext> {
  readonly #parts: TlsKeeperParts<C>
  /** One for each listener with TLS: the configuration bounds them. */
  readonly #kept: Kept[] = []
  #timer: Timer | null = null
  #isStopped = false

  constructor(parts: TlsKeeperParts<C>) {
    this.#parts = parts
  }

  /** The context of a listener, with its certificate. Throws TLS_UNUSABLE. */
  async open(listener: string, files: TlsFiles): Promise<C> {
    const context = this.#parts.net.tlsContext(files.clientAuth)
    try {
      const material = await this.#read(files)
      const facts = context.replace(material)
      const kept = { listener, files, context, material, facts, refused: null, ...neverWarned }
      this.#kept.push(kept)
      this.#judge(kept)
    } catch (thrown) {
      throw new ApplianceError(securityErrors.tlsUnusable, { listener, reason: asError(thrown).message })
    }
    this.#lookLater()
    return context
  }

  stop(): void {
    this.#isStopped = true
    if (this.#timer !== null) this.#parts.clock.cancel(this.#timer)
    this.#timer = null
  }

  #lookLater(): void {
    if (this.#timer !== null || this.#isStopped) return
    this.#timer = this.#parts.clock.schedule(this.#parts.lookEveryMs ?? lookEveryMs, () => {
      void this.#look().finally(() => {
        this.#timer = null
        this.#lookLater()
      })
    })
  }

  async #look(): Promise<void> {
    for (const kept of this.#kept) {
      await this.#refresh(kept)
      this.#judge(kept)
    }
  }

  async #refresh(kept: Kept): Promise<void> {
    const { clock, observer } = this.#parts
    const { listener } = kept
    let material: TlsMaterial | null = null
    try {
      material = await this.#read(kept.files)
      if (isSame(material, kept.material)) {
        kept.refused = null
        return
      }
      // It has not become better by lying there.
      if (isSame(material, kept.refused?.material ?? null)) return
      const facts = kept.context.replace(material)
      const older = olderThan(facts, kept.facts, clock.wallMs())
      if (older !== null) {
        kept.context.replace(kept.material)
        throw new Error(older)
      }
      Object.assign(kept, { material, facts, refused: null, ...neverWarned })
      observer.add(securityMetrics.tlsReloads, 1, { listener })
      observer.event(securityEvents.tlsReloaded, { listener, subject: facts.subject, notAfter: facts.notAfter })
    } catch (thrown) {
      const reason = asError(thrown).message
      const before = kept.refused
      if (before !== null && before.reason === reason && isSame(before.material, material)) return
      kept.refused = { material, reason }
      observer.add(securityMetrics.tlsReloadsRefused, 1, { listener })
      observer.event(securityEvents.tlsReloadRefused, { listener, reason })
    }
  }

  async #read(files: TlsFiles): Promise<TlsMaterial> {
    const { clientCa, clientCrl = null, moreCertificates = [] } = files
    const read = async (path: string): Promise<Uint8Array> => {
      const bytes = await this.#parts.disk.readFile(path, pemBytesMax)
      if (bytes === null) throw new Error(`there is no file ${path}`)
      return bytes
    }
    const pair = async ({ certificate, key }: TlsPairFiles): Promise<TlsKeyPair> => ({
      certificate: await read(certificate),
      key: await read(key),
    })
    const more: TlsKeyPair[] = []
    for (const each of moreCertificates) more.push(await pair(each))
    return {
      ...(await pair(files)),
      more,
      clientCa: clientCa === null ? null : await read(clientCa),
      clientCrl: clientCrl === null ? null : await read(clientCrl),
    }
  }

  #judge(kept: Kept): void {
    this.#judgeExpiry(kept)
    this.#judgeCrl(kept)
  }

  #judgeCrl(kept: Kept): void {
    const { clock, observer } = this.#parts
    const { listener, facts } = kept
    const endMs = facts.crlNextUpdateMs
    if (endMs === null) return
    observer.set(securityMetrics.tlsCrlNextUpdate, endMs / 1_000, { listener })
    const nowMs = clock.wallMs()
    if (endMs - nowMs > warnCrlBeforeMs || nowMs - kept.warnedCrlAtMs < dayMs || !clock.wallTrusted()) return
    kept.warnedCrlAtMs = nowMs
    const hours = Math.floor((endMs - nowMs) / 3_600_000)
    if (endMs <= nowMs) observer.event(securityEvents.tlsCrlExpired, { listener })
    else observer.event(securityEvents.tlsCrlExpiresSoon, { listener, hours })
  }

  #judgeExpiry(kept: Kept): void {
    const { clock, observer } = this.#parts
    const { listener, facts } = kept
    observer.set(securityMetrics.tlsNotAfter, facts.notAfterMs / 1_000, { listener })
    const nowMs = clock.wallMs()
    const leftMs = facts.notAfterMs - nowMs
    // A clock that is known to be wrong says nothing about a certificate.
    if (leftMs > warnBeforeMs || nowMs - kept.warnedAtMs < dayMs || !clock.wallTrusted()) return
    kept.warnedAtMs = nowMs
    const { subject } = facts
    if (leftMs <= 0) observer.event(securityEvents.tlsExpired, { listener, subject, notAfter: facts.notAfter })
    else observer.event(securityEvents.tlsExpiresSoon, { listener, subject, days: Math.floor(leftMs / dayMs) })
  }
}

const neverWarned = { warnedAtMs: Number.NEGATIVE_INFINITY, warnedCrlAtMs: Number.NEGATIVE_INFINITY }

/** What of the new facts is worse than what is in force: it has ended at `nowMs`, or it does not know whom a newer list revokes. Null = nothing. */
function olderThan(facts: TlsFacts, inForce: TlsFacts, nowMs: number): string | null {
  const lastsLonger = 'has expired, and the one in force lasts longer'
  if (facts.notAfterMs <= nowMs && facts.notAfterMs < inForce.notAfterMs) return `it ${lastsLonger}`
  const [endMs, inForceMs] = [facts.crlNextUpdateMs, inForce.crlNextUpdateMs ?? Number.NEGATIVE_INFINITY]
  if (endMs !== null && endMs <= nowMs && endMs < inForceMs) return `its revocation list ${lastsLonger}`
  const isOlder = facts.crlAges.some((age) => inForce.crlAges.some((known) => isBefore(age, known)))
  return isOlder ? 'its revocation list is older than the one in force' : null
}

/** By their numbers where both lists of an authority have one: the clock that made them may have been wrong. */
function isBefore(list: CrlAge, known: CrlAge): boolean {
  if (list.authority !== known.authority) return false
  if (list.number !== null && known.number !== null) return list.number < known.number
  return list.madeMs < known.madeMs
}

function isSame(left: TlsMaterial | null, right: TlsMaterial | null): boolean {
  const same = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
    a === null || b === null ? a === b : Buffer.compare(a, b) === 0
  if (left === null || right === null) return left === right
  const samePair = (a: TlsKeyPair, b: TlsKeyPair | undefined): boolean =>
    b !== undefined && same(a.certificate, b.certificate) && same(a.key, b.key)
  const names = ['clientCa', 'clientCrl'] as const
  return (
    names.every((name) => same(left[name] ?? null, right[name] ?? null)) &&
    samePair(left, right) &&
    // As many of both: the configuration says how many.
    (left.more ?? []).every((pair, index) => samePair(pair, right.more?.[index]))
  )
}
