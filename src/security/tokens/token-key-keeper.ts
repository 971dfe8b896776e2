/**
 * The issuer's keys, from a file or a URL (`sasl.oauthbearer.jwks.endpoint.url`), kept fresh in the background.
 *
 * A node without a network goes on with the last good set: what a URL answers is kept in a file of the data directory, which a start reads
 * before it asks anybody. The file is a hint: it names its URL, it is ignored when it cannot be read, and it is written only when the set
 * has changed. What cannot be used never replaces what is in force, and is told once.
 */
import { ApplianceError, asError } from '../../base/errors.ts'
import type { Clock, Compute, Disk, Net, Observer, Timer, TokenKeys } from '../../base/ports.ts'
import { replaceFile } from '../../base/replace-file.ts'
import { securityErrors } from '../security-errors.ts'
import { securityEvents } from '../security-events.ts'
import { securityMetrics } from '../security-metrics.ts'
import type { TokenKeySource } from './token-check.ts'

export interface TokenKeyOptions {
  /** `file:`, `https:`, or `http:` to this machine. */
  readonly url: string
  /** PEM file; null = the public authorities. */
  readonly ca: string | null
  readonly refreshMs: number
  readonly backoffMs: number
  readonly backoffMsMax: number
  /** A file in an existing directory. */
  readonly cachePath: string
}

export interface TokenKeyParts {
  readonly disk: Pick<Disk, 'readFile' | 'submit'>
  readonly net: Pick<Net, 'fetchDocument'>
  readonly compute: Pick<Compute, 'tokenKeys'>
  readonly clock: Clock
  readonly observer: Observer
}

const setBytesMax = 262_144
const caBytesMax = 1_048_576
const fetchMs = 10_000
/** A file is looked at as often as those of certificates. */
const fileEveryMs = 5_000
/** Between two questions that tokens with unknown keys bring about: strangers can make such tokens. */
const missedEveryMs = 10_000

export class TokenKeyKeeper implements TokenKeySource {
  readonly #options: TokenKeyOptions
  readonly #parts: TokenKeyParts
  #keys: TokenKeys | null = null
  #text: string | null = null
  /** The set in the file for the next start. */
  #kept: string | null = null
  #hasToldNotKept = false
  /** What was told last; null = all is well. */
  #told: string | null = null
  #failures = 0
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #isLooking = false
  #timer: Timer | null = null
  #isStopped = false

  constructor(options: TokenKeyOptions, parts: TokenKeyParts) {
    this.#options = options
    this.#parts = parts
  }

  get keys(): TokenKeys | null {
    return this.#keys
  }

  /** Resolves when a file was read, or what was kept of a URL. Throws TOKEN_KEYS_UNUSABLE for a file that cannot be used. */
  async start(): Promise<void> {
    if (this.#isFile) {
      await this.#look()
      if (this.#keys === null) {
        throw new ApplianceError(securityErrors.tokenKeysUnusable, { url: this.#options.url, reason: this.#told ?? '' })
      }
      return
    }
    await this.#readCache()
    void this.#look()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  missed(): void {
    if (this.#isFile || this.#isLooking || this.#isStopped) return
    if (this.#parts.clock.monotonicMs() - this.#lookedAtMs < missedEveryMs) return
    this.#cancel()
    void this.#look()
  }

  get #isFile(): boolean {
    return this.#options.url.startsWith('file:')
  }

  #cancel(): void {
    if (this.#timer !== null) this.#parts.clock.cancel(this.#timer)
    this.#timer = null
  }

  async #look(): Promise<void> {
    const { clock } = this.#parts
    this.#isLooking = true
    this.#lookedAtMs = clock.monotonicMs()
    try {
      await this.#take(this.#isFile ? await this.#readSetFile() : await this.#fetch())
      this.#failures = 0
    } catch (thrown) {
      this.#failures++
      this.#refused(asError(thrown).message)
    }
    this.#isLooking = false
    if (this.#isStopped) return
    this.#timer = clock.schedule(this.#pauseMs(), () => {
      this.#timer = null
      void this.#look()
    })
  }

  #pauseMs(): number {
    const { refreshMs, backoffMs, backoffMsMax } = this.#options
    if (this.#isFile) return fileEveryMs
    if (this.#failures === 0) return refreshMs
    return Math.min(refreshMs, backoffMsMax, backoffMs * 2 ** Math.min(30, this.#failures - 1))
  }

  async #readSetFile(): Promise<Uint8Array> {
    const path = pathOf(this.#options.url)
    const bytes = await this.#parts.disk.readFile(path, setBytesMax)
    if (bytes === null) throw new Error(`there is no file ${path}`)
    return bytes
  }

  async #fetch(): Promise<Uint8Array> {
    const { url, ca: caPath } = this.#options
    const ca = caPath === null ? null : await this.#parts.disk.readFile(caPath, caBytesMax)
    if (caPath !== null && ca === null) throw new Error(`there is no file ${caPath}`)
    return this.#parts.net.fetchDocument({ url, timeoutMs: fetchMs, bytesMax: setBytesMax, ca })
  }

  async #take(bytes: Uint8Array): Promise<void> {
    const { clock, compute, observer } = this.#parts
    const text = Buffer.from(bytes).toString('utf8')
    if (text !== this.#text) {
      const keys = await compute.tokenKeys(bytes)
      this.#keys = keys
      this.#text = text
      this.#told = null
      observer.event(securityEvents.tokenKeysLoaded, { url: this.#shown, keys: keys.size })
    } else if (this.#told !== null) {
      this.#told = null
      observer.event(securityEvents.tokenKeysLoaded, { url: this.#shown, keys: this.#keys?.size ?? 0 })
    }
    if (!this.#isFile && text !== this.#kept && !this.#isStopped) await this.#writeCache(text)
    if (clock.wallTrusted())
      observer.set(securityMetrics.tokenKeysRefreshed, Math.floor(clock.wallMs() / 1000), { url: this.#shown })
  }

  #refused(reason: string): void {
    if (this.#told === reason) return
    this.#told = reason
    this.#parts.observer.event(securityEvents.tokenKeysRefused, { url: this.#shown, reason })
  }

  /** A URL may carry a name and a password, or a key in its query. */
  get #shown(): string {
    const { protocol, host, pathname } = new URL(this.#options.url)
    return `${protocol}//${host}${pathname}`
  }

  async #readCache(): Promise<void> {
    const { disk, compute, observer } = this.#parts
    const { cachePath, url } = this.#options
    try {
      const bytes = await disk.readFile(cachePath, 2 * setBytesMax)
      if (bytes === null) return
      const kept: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
      if (typeof kept !== 'object' || kept === null) return
      const { url: ofUrl, set } = kept as { readonly url?: unknown; readonly set?: unknown }
      if (ofUrl !== url || typeof set !== 'string') return
      this.#keys = await compute.tokenKeys(Buffer.from(set))
      this.#text = set
      this.#kept = set
      observer.event(securityEvents.tokenKeysKept, { url: this.#shown, keys: this.#keys.size })
    } catch {
      // A hint that cannot be read is as good as none.
    }
  }

  async #writeCache(set: string): Promise<void> {
    const { cachePath, url } = this.#options
    const bytes = Buffer.from(`${JSON.stringify({ url, set })}\n`)
    try {
      await this.#parts.disk.submit([
        ...replaceFile(cachePath, bytes),
        { kind: 'syncDirectory', path: cachePath.slice(0, cachePath.lastIndexOf('/')) },
      ])
      this.#kept = set
      this.#hasToldNotKept = false
    } catch (thrown) {
      if (this.#hasToldNotKept) return
      this.#hasToldNotKept = true
      const reason = asError(thrown).message
      this.#parts.observer.event(securityEvents.tokenKeysNotKept, { url: this.#shown, reason })
    }
  }
}

function pathOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname)
}
