/** A name that is not there costs what one costs that is: the same look-ups, and bytes of a credential that nobody has read lately. */
import { describe, expect, it } from 'vitest'
import { CredentialLookup } from '../../src/security/invented-credential.ts'
import { type ScramCredential, ScramCredentials } from '../../src/security/scram-credentials.ts'

const mechanism = 'SCRAM-SHA-256'
const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)

/** A credential that counts how often its salt and its stored key were asked for in one look-up: lengths are asked of many, once each. */
function counted(reads: string[], name: string): ScramCredential {
  return {
    iterations: 4096,
    serverKey: bytes(32, 3),
    get salt() {
      return bytes(20, 1)
    },
    get storedKey() {
      reads.push(name)
      return bytes(32, 2)
    },
  }
}

describe('a look-up', () => {
  it('reads one key: its own of a name that is there, of another name somebody else’s, whose it is by chance', () => {
    const reads: string[] = []
    const credentials = new ScramCredentials()
    for (let at = 0; at < 200; at++) credentials.set(`press-${at}`, mechanism, counted(reads, `press-${at}`))
    const lookup = new CredentialLookup({ credentials, secret: bytes(32, 7) })
    expect(lookup.find('press-150', mechanism).isReal).toBe(true)
    expect(reads.splice(0)).toEqual(['press-150'])
    const others = new Set<string>()
    for (let at = 0; at < 500; at++) {
      const { isReal, credential } = lookup.find(`nobody-${at}`, mechanism)
      expect(isReal).toBe(false)
      expect(credential.storedKey).not.toEqual(bytes(32, 2))
      expect(reads).toHaveLength(1)
      for (const name of reads.splice(0)) others.add(name)
    }
    expect(others.size).toBeGreaterThan(100)
    lookup.find('nobody-1', mechanism)
    const first = reads.splice(0)
    lookup.find('nobody-1', mechanism)
    expect(reads).toEqual(first)
  })

  it('invents where there are no users, and none of this mechanism', () => {
    const credentials = new ScramCredentials()
    const lookup = new CredentialLookup({ credentials, secret: bytes(32, 7) })
    expect(lookup.find('a', mechanism)).toMatchObject({ isReal: false, credential: { iterations: 4096 } })
    credentials.set('b', 'SCRAM-SHA-512', counted([], 'b'))
    expect(lookup.find('a', mechanism).isReal).toBe(false)
    expect(lookup.find('b', mechanism).isReal).toBe(false)
  })
})

describe('a user by a number', () => {
  it('is each of them while users come and go', () => {
    const credentials = new ScramCredentials()
    const all = (): string[] => Array.from({ length: credentials.size }, (_, at) => credentials.nameAt(at) ?? '').sort()
    expect(credentials.nameAt(5)).toBeUndefined()
    for (const name of ['a', 'b', 'c', 'd']) credentials.set(name, mechanism, counted([], name))
    credentials.set('b', 'SCRAM-SHA-512', counted([], 'b'))
    credentials.delete('b', mechanism)
    expect(all()).toEqual(['a', 'b', 'c', 'd'])
    credentials.delete('a', mechanism)
    credentials.delete('nobody', mechanism)
    expect(all()).toEqual(['b', 'c', 'd'])
    credentials.delete('d', mechanism)
    credentials.delete('b', 'SCRAM-SHA-512')
    credentials.set('e', mechanism, counted([], 'e'))
    expect(all()).toEqual(['c', 'e'])
  })
})
