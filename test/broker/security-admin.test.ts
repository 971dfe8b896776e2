/** SCRAM credentials and access control entries: what is refused, and what a crash leaves. */
import { describe, expect, it } from 'vitest'
import { AclAdmin } from '../../src/broker/acl-admin.ts'
import { ScramAdmin, type ScramUpsertion } from '../../src/broker/scram-admin.ts'
import type { AclEntry, AclFilter } from '../../src/security/acl.ts'
import { SnapshotFold } from '../../src/cluster/metadata/snapshot-fold.ts'
import type { MetadataRecord } from '../../src/protocol/kafka/stored/metadata-record.ts'
import { scramKeysOf } from '../../src/security/sasl/scram-crypto.ts'
import { newWorld, openAdmin } from './admin-world.ts'

const salted = Buffer.alloc(32, 7)
const upsertion = (changes: Partial<ScramUpsertion> = {}): ScramUpsertion => ({
  name: 'alice',
  mechanism: 1,
  iterations: 4096,
  salt: Buffer.from('salt'),
  saltedPassword: salted,
  ...changes,
})

async function openSecurity(at = newWorld()) {
  const admin = await openAdmin(at)
  return {
    ...admin,
    scram: new ScramAdmin(admin.cluster, admin.ports.observer),
    acls: new AclAdmin({ cluster: admin.cluster, ...admin.ports }),
  }
}

describe('SCRAM credentials', () => {
  it.each<[string, Partial<ScramUpsertion>, string]>([
    ['too few iterations', { iterations: 4095 }, 'UNACCEPTABLE_CREDENTIAL'],
    ['too many iterations', { iterations: 16_385 }, 'UNACCEPTABLE_CREDENTIAL'],
    ['no salt', { salt: Buffer.alloc(0) }, 'UNACCEPTABLE_CREDENTIAL'],
    ['no salted password', { saltedPassword: Buffer.alloc(0) }, 'UNACCEPTABLE_CREDENTIAL'],
    ['a salted password of a book', { saltedPassword: Buffer.alloc(1025) }, 'UNACCEPTABLE_CREDENTIAL'],
    ['an unknown mechanism', { mechanism: 3 }, 'UNSUPPORTED_SASL_MECHANISM'],
    ['no name', { name: '' }, 'UNACCEPTABLE_CREDENTIAL'],
    ['a name with a NUL', { name: 'a\0b' }, 'UNACCEPTABLE_CREDENTIAL'],
    ['a name of 256 characters', { name: 'a'.repeat(256) }, 'UNACCEPTABLE_CREDENTIAL'],
  ])('with %s are refused', async (_, changes, error) => {
    const { settle, scram, cluster } = await openSecurity()
    expect(await settle(scram.alter([], [upsertion(changes)]))).toMatchObject([{ refusal: { error } }])
    expect(cluster.image.credentials.size).toBe(0)
  })

  it('are taken with a salted password of any length, as Kafka takes them', async () => {
    const { settle, scram, cluster } = await openSecurity()
    const short = upsertion({ mechanism: 2, saltedPassword: Buffer.from('x') })
    expect(await settle(scram.alter([], [short]))).toMatchObject([{ refusal: null }])
    expect(cluster.image.credentials.get('alice', 'SCRAM-SHA-512')?.storedKey).toHaveLength(64)
  })

  it('are judged user by user, and not twice in one request', async () => {
    const { settle, scram } = await openSecurity()
    const outcomes = await settle(
      scram.alter(
        [{ name: 'ghost', mechanism: 1 }],
        [upsertion(), upsertion({ name: 'bob' }), upsertion({ name: 'bob' })],
      ),
    )
    expect(outcomes.map(({ user, refusal }) => [user, refusal?.error])).toEqual([
      ['ghost', 'RESOURCE_NOT_FOUND'],
      ['alice', undefined],
      ['bob', 'DUPLICATE_RESOURCE'],
    ])
    expect(scram.describe(null).map(({ user }) => user)).toEqual(['alice'])
    expect(scram.describe(['ghost'])[0]?.refusal?.error).toBe('RESOURCE_NOT_FOUND')
    expect(scram.describe(['alice', 'alice'])[0]?.refusal?.error).toBe('DUPLICATE_RESOURCE')
  })

  it('are there after a crash, and what is kept is not what came', async () => {
    const at = newWorld()
    const first = await openSecurity(at)
    await first.settle(first.scram.alter([], [upsertion(), upsertion({ name: 'gone' })]))
    await first.settle(first.scram.alter([{ name: 'gone', mechanism: 1 }], []))
    at.host.kill()
    const second = await openSecurity(at)
    const kept = second.cluster.image.credentials.get('alice', 'SCRAM-SHA-256')
    expect(kept?.iterations).toBe(4096)
    expect(Buffer.from(kept?.storedKey ?? []).equals(scramKeysOf('sha256', salted).storedKey)).toBe(true)
    expect(Buffer.from(kept?.storedKey ?? []).equals(salted)).toBe(false)
    expect(second.cluster.image.credentials.ofUser('gone')).toBeUndefined()
  })
})

describe('access control entries', () => {
  const entry = (changes: Partial<AclEntry> = {}): AclEntry => ({
    resourceType: 2,
    resourceName: 'plant',
    patternType: 3,
    principal: 'User:alice',
    host: '*',
    operation: 3,
    permissionType: 3,
    ...changes,
  })
  const everything: AclFilter = {
    ...{ resourceType: 1, resourceName: null, patternType: 1, principal: null },
    ...{ host: null, operation: 1, permissionType: 1 },
  }

  it.each<[string, Partial<AclEntry>]>([
    ['any kind of resource', { resourceType: 1 }],
    ['an unknown kind of resource', { resourceType: 99 }],
    ['no name', { resourceName: '' }],
    ['a pattern that only filters have', { patternType: 2 }],
    ['any operation', { operation: 1 }],
    ['an unknown operation', { operation: 77 }],
    ['any permission', { permissionType: 1 }],
    ['a principal without its kind', { principal: 'alice' }],
    ['a principal without a name', { principal: 'User:' }],
    ['no host', { host: '' }],
    ['another cluster', { resourceType: 4, resourceName: 'mine' }],
    ['a name of 2,000 characters', { resourceName: 'a'.repeat(2000) }],
    ['a NUL', { principal: 'User:a\0' }],
  ])('with %s are refused', async (_, changes) => {
    const { settle, acls, cluster } = await openSecurity()
    expect(await settle(acls.create([entry(changes)]))).toMatchObject([{ error: 'INVALID_REQUEST' }])
    expect(cluster.image.acls.size).toBe(0)
  })

  it('are kept for each operation that Kafka 4.3 names, its latest one too', async () => {
    const { settle, acls } = await openSecurity()
    const entries = Array.from({ length: 14 }, (_, index) => entry({ operation: index + 2 }))
    expect(await settle(acls.create(entries))).toEqual(entries.map(() => null))
    const latest = acls.find({ ...everything, operation: 15 })
    expect(latest).toMatchObject({ kind: 'found', entries: [{ operation: 15 }] })
    expect(await settle(acls.create([entry({ operation: 16 })]))).toMatchObject([{ error: 'INVALID_REQUEST' }])
  })

  it('are kept once, found, removed, and what is left is there after a crash', async () => {
    const at = newWorld()
    const first = await openSecurity(at)
    const entries = [entry(), entry(), entry({ host: '10.0.0.1' }), entry({ operation: 4 })]
    expect(await first.settle(first.acls.create(entries))).toEqual([null, null, null, null])
    expect(await first.settle(first.acls.create([entry()]))).toEqual([null])
    expect(first.cluster.image.acls.size).toBe(3)
    const removed = await first.settle(
      first.acls.delete([
        { ...everything, operation: 3 },
        { ...everything, operation: 0 },
      ]),
    )
    expect(removed).toMatchObject([
      { kind: 'found', entries: [{}, {}] },
      { kind: 'refused', error: 'INVALID_REQUEST' },
    ])
    at.host.kill()
    const second = await openSecurity(at)
    expect(second.acls.find(everything)).toEqual({ kind: 'found', entries: [entry({ operation: 4 })] })
    expect(second.acls.find({ ...everything, patternType: 9 })).toMatchObject({ kind: 'refused' })
  })
})

it('a snapshot of the metadata holds what is in force of both, and nothing of what is gone', () => {
  const fold = new SnapshotFold()
  const credential = (name: string, iterations: number): MetadataRecord => ({
    type: 'UserScramCredentialRecord',
    version: 0,
    value: { name, mechanism: 1, salt: salted, storedKey: salted, serverKey: salted, iterations },
  })
  const acl = (id: string): MetadataRecord => ({
    type: 'AccessControlEntryRecord',
    version: 0,
    value: {
      id,
      resourceType: 2,
      resourceName: id,
      patternType: 3,
      principal: 'User:a',
      host: '*',
      operation: 3,
      permissionType: 3,
    },
  })
  for (let times = 0; times < 5; times++) fold.add(credential('alice', 4096 + times))
  fold.add(credential('gone', 4096))
  fold.add({ type: 'RemoveUserScramCredentialRecord', version: 0, value: { name: 'gone', mechanism: 1 } })
  fold.add(acl('kept'))
  fold.add(acl('removed'))
  fold.add({ type: 'RemoveAccessControlEntryRecord', version: 0, value: { id: 'removed' } })
  expect(fold.records()).toEqual([credential('alice', 4100), acl('kept')])
})
