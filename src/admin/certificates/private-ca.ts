/**
 * A private authority for boxes without one: makes certificates, renews and revokes them, and writes the revocation list.
 *
 * A serial number stands in the index before its certificate exists, so that there is none that could not be revoked.
 */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { ApplianceError } from '../../base/errors.ts'
import { caErrors } from './ca-errors.ts'
import { type CaFolder, type CaIndex, type IndexEntry } from './ca-folder.ts'
import {
  type AlternativeName,
  type Issued,
  makeAuthority,
  makeLeaf,
  makeRevocationList,
  type Profile,
  randomSerial,
  type RevocationReason,
} from './certificate-maker.ts'

export interface IssueRequest {
  readonly name: string
  readonly profile: Profile
  /** `DNS:edge.plant`, `IP:10.0.0.7`, or without a kind. */
  readonly alternatives: readonly string[]
  readonly days: number
}

export interface ListedCertificate {
  readonly name: string
  readonly profile: Profile
  readonly serial: string
  readonly notAfter: string
  readonly state: 'good' | 'expired' | 'revoked'
  /** It is the newest of its name. */
  readonly isNewest: boolean
}

const dayMs = 86_400_000
/** Clocks of clients are not all right. */
const earlierMs = 300_000
const namesMax = 100

export class PrivateCa {
  readonly #folder: CaFolder
  readonly #nowMs: () => number

  constructor(folder: CaFolder, nowMs: () => number) {
    this.#folder = folder
    this.#nowMs = nowMs
  }

  /** A new authority with an empty revocation list. Throws CA_EXISTS. */
  async init(name: string, options: { readonly days: number; readonly crlDays: number }): Promise<void> {
    checkCommonName(name)
    return this.#folder.locked(async () => {
      if (await this.#folder.exists()) throw new ApplianceError(caErrors.exists, { folder: this.#folder.path })
      const nowMs = this.#nowMs()
      await this.#folder.writeIndex({ version: 1, crlNumber: 0, entries: [] })
      const validity = { notBeforeMs: nowMs - earlierMs, notAfterMs: nowMs + options.days * dayMs }
      await this.#folder.writeAuthority(await makeAuthority(name, validity))
      await this.#writeList(await this.#folder.index(), options.crlDays)
    })
  }

  /** Throws CA_NAME_TAKEN while there is one of the name that is good. */
  async issue(request: IssueRequest): Promise<ListedCertificate> {
    checkFileName(request.name)
    const names = request.alternatives.map(alternativeName)
    if (names.length > namesMax) throw invalid('--san', `more than ${namesMax} names`)
    if (request.profile === 'server' && names.length === 0) {
      throw invalid(request.name, 'a server is known by its names: give at least one --san')
    }
    return this.#folder.locked(async () => {
      const index = await this.#folder.index()
      const good = index.entries.find((entry) => entry.name === request.name && this.#stateOf(entry) === 'good')
      if (good !== undefined) {
        throw new ApplianceError(caErrors.nameTaken, { name: request.name, notAfter: dateOf(good.notAfterMs) })
      }
      return this.#sign(index, { ...request, names })
    })
  }

  /** A new certificate with a new key and the same names; the one before stays good until it ends or is revoked. */
  renew(name: string, days: number): Promise<ListedCertificate> {
    return this.#folder.locked(async () => {
      const index = await this.#folder.index()
      const newest = index.entries.findLast((entry) => entry.name === name)
      if (newest === undefined) throw new ApplianceError(caErrors.unknown, { name, state: 'there' })
      return this.#sign(index, { ...newest, days })
    })
  }

  /** Revokes all good certificates of a name, or one by its serial number; answers how many. */
  revoke(nameOrSerial: string, reason: RevocationReason, crlDays: number): Promise<number> {
    return this.#folder.locked(async () => {
      const index = await this.#folder.index()
      const isMeant = (entry: IndexEntry): boolean =>
        (entry.name === nameOrSerial || entry.serial === nameOrSerial.toLowerCase()) && this.#stateOf(entry) === 'good'
      const count = index.entries.filter(isMeant).length
      if (count === 0) throw new ApplianceError(caErrors.unknown, { name: nameOrSerial, state: 'good' })
      const atMs = this.#nowMs()
      const entries = index.entries.map((entry) => (isMeant(entry) ? { ...entry, revoked: { atMs, reason } } : entry))
      await this.#writeList({ ...index, entries }, crlDays)
      return count
    })
  }

  /** A new revocation list of what is revoked already: it must be younger than its clients ask for. */
  writeList(crlDays: number): Promise<void> {
    return this.#folder.locked(async () => this.#writeList(await this.#folder.index(), crlDays))
  }

  async list(): Promise<readonly ListedCertificate[]> {
    const { entries } = await this.#folder.index()
    const newest = new Map(entries.map((entry) => [entry.name, entry.serial]))
    return entries.map((entry) => this.#listed(entry, newest.get(entry.name) === entry.serial))
  }

  async #sign(
    index: CaIndex,
    request: {
      readonly name: string
      readonly profile: Profile
      readonly names: readonly AlternativeName[]
      readonly days: number
    },
  ): Promise<ListedCertificate> {
    const { name, profile, names, days } = request
    const authority = await this.#folder.authority()
    const nowMs = this.#nowMs()
    const validity = { notBeforeMs: nowMs - earlierMs, notAfterMs: nowMs + days * dayMs }
    const endMs = endOf(authority)
    if (validity.notAfterMs > endMs) {
      throw new ApplianceError(caErrors.tooLong, { days, notAfter: dateOf(endMs) })
    }
    const serial = randomSerial()
    const entry: IndexEntry = { serial, name, profile, names, ...validity, revoked: null }
    await this.#folder.writeIndex({ ...index, entries: [...index.entries, entry] })
    await this.#folder.writeIssued(name, await makeLeaf(authority, { name, serial, profile, names, validity }))
    return this.#listed(entry, true)
  }

  async #writeList(index: CaIndex, crlDays: number): Promise<void> {
    const authority = await this.#folder.authority()
    const nowMs = this.#nowMs()
    const number = index.crlNumber + 1
    // What has ended by itself need not stand in the list (RFC 5280, 3.3).
    const revoked = index.entries.flatMap(({ serial, notAfterMs, revoked: fact }) =>
      fact === null || notAfterMs <= nowMs ? [] : [{ serial, revokedMs: fact.atMs, reason: fact.reason }],
    )
    const times = { thisUpdateMs: nowMs - earlierMs, nextUpdateMs: nowMs + crlDays * dayMs }
    const text = await makeRevocationList(authority, { number, ...times, revoked })
    // Cut off in between, what is revoked stands in the list, and to revoke it once more finds something to do.
    await this.#folder.writeRevocationList(text)
    await this.#folder.writeIndex({ ...index, crlNumber: number })
  }

  #stateOf({ revoked, notAfterMs }: IndexEntry): ListedCertificate['state'] {
    if (revoked !== null) return 'revoked'
    return notAfterMs <= this.#nowMs() ? 'expired' : 'good'
  }

  #listed(entry: IndexEntry, isNewest: boolean): ListedCertificate {
    const { name, profile, serial, notAfterMs } = entry
    return { name, profile, serial, notAfter: dateOf(notAfterMs), state: this.#stateOf(entry), isNewest }
  }
}

function endOf({ certificate }: Issued): number {
  return new X509Certificate(certificate).validToDate.getTime()
}

function dateOf(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString()
}

/** It becomes a file and a common name (64 characters, RFC 5280 appendix A). */
function checkFileName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return
  throw invalid(
    name,
    'a name is made of letters, digits, dot, underscore and hyphen, and begins with a letter or digit',
  )
}

function checkCommonName(name: string): void {
  if (name.trim() === name && /^[\x20-\x7e]{1,64}$/.test(name)) return
  throw invalid(name, 'the name of an authority has 1 to 64 printable characters')
}

function alternativeName(written: string): AlternativeName {
  const [, kind = '', value = ''] = /^(?:(DNS|IP):)?(.+)$/.exec(written) ?? []
  if (isIP(value) !== 0 && kind !== 'DNS') return { type: 'ip', value }
  const isName = /^(?:\*\.)?(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/.test(value) && value.length <= 253
  if (kind === 'IP' || !isName || isIP(value) !== 0) throw invalid(written, 'a --san is DNS:NAME or IP:ADDRESS')
  return { type: 'dns', value }
}

function invalid(name: string, reason: string): ApplianceError {
  return new ApplianceError(caErrors.nameInvalid, { name, reason })
}
