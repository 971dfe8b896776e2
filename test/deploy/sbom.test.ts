/** The bill of materials tells of everything that is there at run time, and the README says why each is. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { billOfMaterials, type LockFile } from '../../tools/sbom.ts'
import { repositoryRoot } from '../../tools/tables.ts'

const read = (name: string): string => readFileSync(join(repositoryRoot, name), 'utf8')
const lock = JSON.parse(read('package-lock.json')) as LockFile
const wanted = JSON.parse(read('package.json')) as Readonly<Record<string, Readonly<Record<string, string>>>>

interface Bill {
  readonly serialNumber: string
  readonly components: readonly {
    readonly 'bom-ref': string
    readonly name: string
    readonly version: string
    readonly hashes: readonly { readonly content: string }[]
    readonly licenses: readonly object[]
  }[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

describe('the bill of materials', () => {
  const bill = billOfMaterials(lock) as Bill

  it('names every package that the product asks for, in the version it is pinned to', () => {
    const named = new Map(bill.components.map(({ name, version }) => [`${name} ${version}`, true]))
    for (const [name, version] of Object.entries({ ...wanted['dependencies'], ...wanted['optionalDependencies'] })) {
      expect(named.has(`${name} ${version}`), name).toBe(true)
    }
    // Types and mqtt-packet come along with mqtt.
    const forDevelopment = Object.keys(wanted['devDependencies'] ?? {}).filter(
      (name) => !/^@types\/|^mqtt-packet$/.test(name),
    )
    expect(bill.components.filter(({ name }) => forDevelopment.includes(name))).toEqual([])
  })

  it('is closed: whatever something needs is in it, with digest and licence', () => {
    const references = new Set(bill.components.map((each) => each['bom-ref']))
    for (const { ref, dependsOn } of bill.dependencies) {
      for (const need of dependsOn) expect(references.has(need), `${ref} needs ${need}`).toBe(true)
    }
    const top = bill.dependencies.find(({ ref }) => ref.startsWith('pkg:npm/headwater@'))
    expect(top?.dependsOn).toHaveLength(
      Object.keys({ ...wanted['dependencies'], ...wanted['optionalDependencies'] }).length,
    )
    for (const each of bill.components) {
      expect(each.hashes[0]?.content, each.name).toMatch(/^[0-9a-f]{128}$/)
      expect(each.licenses, each.name).toHaveLength(1)
    }
  })

  it('is the same for the same lock file, and another for another', () => {
    expect(billOfMaterials(lock)).toEqual(bill)
    const packages = Object.entries(lock.packages).filter(([path]) => path !== 'node_modules/zod')
    expect((billOfMaterials({ packages: Object.fromEntries(packages) }) as Bill).serialNumber).not.toBe(
      bill.serialNumber,
    )
  })

  it('is refused for a package without a digest or a licence', () => {
    const zod = lock.packages['node_modules/zod'] ?? { version: '0' }
    const { integrity, ...bare } = zod
    expect(integrity).toBeDefined()
    expect(() => billOfMaterials({ packages: { ...lock.packages, 'node_modules/zod': bare } })).toThrow(/no digest/)
    const { license, ...unlicensed } = zod
    expect(license).toBeDefined()
    expect(() => billOfMaterials({ packages: { ...lock.packages, 'node_modules/zod': unlicensed } })).toThrow(
      /no licence/,
    )
  })
})

describe('the README', () => {
  it('says of each runtime dependency why it is there, and of no other', () => {
    const table = /\| at run time \| why \|\n\|[-|]+\n((?:\|.*\n)+)/.exec(read('README.md'))?.[1] ?? ''
    const named = table
      .split('\n')
      .flatMap((row) => (row.split('|')[1] ?? '').split(','))
      .map((name) => name.trim().split(' ')[0] ?? '')
      .filter((name) => name !== '')
    const asked = Object.keys({ ...wanted['dependencies'], ...wanted['optionalDependencies'] })
    expect(named.sort()).toEqual(asked.sort())
  })
})
