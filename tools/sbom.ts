/**
 * Prints what the product is made of as a CycloneDX 1.6 document: every package of the lock file that is there at run time, with its version,
 * licence, digest, and what it needs. The same lock file gives the same document, to the byte.
 *
 *   sbom.ts [FILE]      to the file instead of standard output
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repositoryRoot } from './tables.ts'

interface LockedPackage {
  readonly version: string
  readonly license?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>
}

const folder = 'node_modules/'

/** The document; `lock` is package-lock.json. Throws when a package lacks what such a document is for. */
export function billOfMaterials(lock: LockFile): object {
  const own = lock.packages['']
  if (own === undefined) throw new Error('the lock file does not name the product')
  const locked = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true)
  const references = new Map(locked.map(([path, each]) => [path, referenceOf(nameOf(path), each.version)]))
  const ownReference = referenceOf('headwater', own.version)
  const components = locked.map(([path, each]) => componentOf(nameOf(path), each))
  const needs = [['', own] as const, ...locked].map(([path, { dependencies, optionalDependencies }]) => {
    const names = Object.keys({ ...dependencies, ...optionalDependencies })
    const found = names.map((name) => references.get(resolve(path, name, lock)) ?? '').filter((each) => each !== '')
    return { ref: references.get(path) ?? ownReference, dependsOn: [...new Set(found)].sort() }
  })
  const body = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': ownReference,
        name: 'headwater',
        version: own.version,
        purl: ownReference,
        ...licences(own.license),
      },
    },
    components: distinct(components, (each) => each['bom-ref']),
    dependencies: distinct(needs, ({ ref }) => ref),
  }
  return { ...body, serialNumber: serialOf(JSON.stringify(body)) }
}

function componentOf(name: string, { version, license, integrity, optional = false }: LockedPackage) {
  const reference = referenceOf(name, version)
  const digest = /^sha512-([A-Za-z0-9+/=]+)$/.exec(integrity ?? '')?.[1]
  if (digest === undefined) throw new Error(`${name} ${version} has no digest in the lock file`)
  if (license === undefined) throw new Error(`${name} ${version} has no licence in the lock file`)
  return {
    type: 'library',
    'bom-ref': reference,
    name,
    version,
    purl: reference,
    scope: optional ? 'optional' : 'required',
    hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }],
    ...licences(license),
  }
}

function licences(license: string | undefined): object {
  if (license === undefined) return {}
  const isExpression = /[ ()]/.test(license)
  return { licenses: [isExpression ? { expression: license } : { license: { id: license } }] }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf(folder) + folder.length)
}

/** Package URL; the @ of a scope is escaped. */
function referenceOf(name: string, version: string): string {
  return `pkg:npm/${name.replace(/^@/, '%40')}@${version}`
}

/** Where Node finds a package that the one at `path` asks for: in its own folder, or in one further out. */
function resolve(path: string, name: string, { packages }: LockFile): string {
  for (let place = path; ; place = place.slice(0, Math.max(0, place.lastIndexOf(`/${folder}`)))) {
    const candidate = place === '' ? `${folder}${name}` : `${place}/${folder}${name}`
    if (packages[candidate] !== undefined || place === '') return candidate
    if (!place.includes(`/${folder}`)) return `${folder}${name}`
  }
}

/** One version may lie in several folders. */
function distinct<T>(all: readonly T[], keyOf: (one: T) => string): T[] {
  const byKey = new Map(all.map((each) => [keyOf(each), each]))
  return [...byKey.values()].sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))
}

/** A name made from the content (RFC 9562 version 8). */
function serialOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  const words = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)]
  return `urn:uuid:${words.join('-')}`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const lock = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')) as LockFile
  const text = `${JSON.stringify(billOfMaterials(lock), null, 2)}\n`
  const [file] = process.argv.slice(2)
  if (file === undefined) process.stdout.write(text)
  else writeFileSync(file, text)
}
