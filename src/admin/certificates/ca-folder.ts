/**
 * The folder of a private authority: `ca.pem`, `ca.key`, `ca.crl.pem`, `index.json` (what it has signed), and `issued/NAME.pem` with its
 * key. Every file is written whole or not at all; keys are mode 0600 from their first byte on. One command at a time.
 */
import { chmod, mkdir, open, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ApplianceError, asError } from '../../base/errors.ts'
import { writeWholeFile } from '../whole-file.ts'
import { caErrors } from './ca-errors.ts'
import {
  type AlternativeName,
  type Issued,
  type Profile,
  type RevocationReason,
  revocationReasons,
} from './certificate-maker.ts'

/** A certificate that was signed. */
export interface IndexEntry {
  readonly serial: string
  readonly name: string
  readonly profile: Profile
  readonly names: readonly AlternativeName[]
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly revoked: { readonly atMs: number; readonly reason: RevocationReason } | null
}

export interface CaIndex {
  readonly version: 1
  /** Of the newest revocation list. */
  readonly crlNumber: number
  readonly entries: readonly IndexEntry[]
}

/** Longest index: a few hundred bytes an entry. */
const entriesMax = 100_000
const keyMode = 0o600
const publicMode = 0o644

export class CaFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  file(name: 'ca.pem' | 'ca.key' | 'ca.crl.pem' | 'index.json' | 'lock'): string {
    return join(this.path, name)
  }

  issued(name: string): { readonly certificate: string; readonly key: string } {
    const base = join(this.path, 'issued', name)
    return { certificate: `${base}.pem`, key: `${base}.key` }
  }

  /** Runs `work` while no other command may touch the folder. */
  async locked<T>(work: () => Promise<T>): Promise<T> {
    await mkdir(join(this.path, 'issued'), { recursive: true, mode: 0o700 })
    await chmod(this.path, 0o700)
    const file = this.file('lock')
    const handle = await open(file, 'wx', keyMode).catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === 'EEXIST') throw new ApplianceError(caErrors.busy, { file })
      throw thrown
    })
    try {
      return await work()
    } finally {
      await handle.close()
      await unlink(file)
    }
  }

  /** Is there an authority? */
  async exists(): Promise<boolean> {
    return (await readText(this.file('ca.key'))) !== null || (await readText(this.file('ca.pem'))) !== null
  }

  /** Throws CA_MISSING. */
  async authority(): Promise<Issued> {
    const [certificate, key] = await Promise.all([readText(this.file('ca.pem')), readText(this.file('ca.key'))])
    if (certificate === null || key === null) throw new ApplianceError(caErrors.missing, { folder: this.path })
    return { certificate, key }
  }

  /** Throws CA_MISSING or CA_BROKEN. */
  async index(): Promise<CaIndex> {
    const file = this.file('index.json')
    const text = await readText(file)
    if (text === null) throw new ApplianceError(caErrors.missing, { folder: this.path })
    try {
      return readIndex(text)
    } catch (thrown) {
      throw new ApplianceError(caErrors.broken, { file, reason: asError(thrown).message })
    }
  }

  async writeIndex(index: CaIndex): Promise<void> {
    if (index.entries.length > entriesMax) {
      throw new ApplianceError(caErrors.broken, {
        file: this.file('index.json'),
        reason: `more than ${entriesMax} entries`,
      })
    }
    await writeWholeFile(this.file('index.json'), `${JSON.stringify(index, null, 1)}\n`, { mode: keyMode })
  }

  async writeAuthority({ certificate, key }: Issued): Promise<void> {
    await writeWholeFile(this.file('ca.key'), key, { mode: keyMode })
    await writeWholeFile(this.file('ca.pem'), certificate, { mode: publicMode })
  }

  /** The key first: a daemon that looks in between sees a pair that does not belong together, and waits for the other half. */
  async writeIssued(name: string, { certificate, key }: Issued): Promise<void> {
    const files = this.issued(name)
    await writeWholeFile(files.key, key, { mode: keyMode })
    await writeWholeFile(files.certificate, certificate, { mode: publicMode })
  }

  async writeRevocationList(text: string): Promise<void> {
    await writeWholeFile(this.file('ca.crl.pem'), text, { mode: publicMode })
  }
}

function readIndex(text: string): CaIndex {
  const index = JSON.parse(text) as CaIndex
  const isEntry = ({ serial, name, profile, names, notAfterMs, revoked }: IndexEntry): boolean =>
    /^[0-9a-f]{32}$/.test(serial) &&
    typeof name === 'string' &&
    (profile === 'server' || profile === 'client') &&
    Array.isArray(names) &&
    Number.isSafeInteger(notAfterMs) &&
    (revoked === null || Object.hasOwn(revocationReasons, revoked.reason))
  if (index.version !== 1 || !Number.isSafeInteger(index.crlNumber) || !index.entries.every(isEntry)) {
    throw new Error('it is no index of an authority')
  }
  return index
}

async function readText(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new ApplianceError(caErrors.broken, { file, reason: asError(thrown).message })
  }
}
