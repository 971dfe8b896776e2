/** Client quotas: what is refused, what a description finds (KIP-546), and what a crash and a snapshot leave. */
import { describe, expect, it } from 'vitest'
import { QuotaAdmin, type QuotaChange } from '../../src/broker/quota-admin.ts'
import { SnapshotFold } from '../../src/cluster/metadata/snapshot-fold.ts'
import type { MetadataRecord } from '../../src/protocol/kafka/stored/metadata-record.ts'
import type { NamedEntity } from '../../src/security/quotas/client-quotas.ts'
import { newWorld, openAdmin } from './admin-world.ts'

const user = (entityName: string | null): NamedEntity => ({ entityType: 'user', entityName })
const client = (entityName: string | null): NamedEntity => ({ entityType: 'client-id', entityName })
const ip = (entityName: string | null): NamedEntity => ({ entityType: 'ip', entityName })
const change = (entity: readonly NamedEntity[], key: string, value: number | null): QuotaChange => ({
  entity,
  ops: [{ key, value: value ?? 0, remove: value === null }],
})

async function openQuotas(at = newWorld()) {
  const admin = await openAdmin(at)
  return { ...admin, quotas: new QuotaAdmin(admin.cluster, admin.ports.observer) }
}

describe('client quotas', () => {
  it.each<[string, readonly NamedEntity[], string, number]>([
    ['no entity', [], 'producer_byte_rate', 1],
    ['an unknown entity type', [{ entityType: 'group', entityName: 'g' }], 'producer_byte_rate', 1],
    ['an empty name', [user('')], 'producer_byte_rate', 1],
    ['a type twice', [user('a'), user('b')], 'producer_byte_rate', 1],
    ['an address beside a user', [user('a'), ip('10.0.0.1')], 'connection_creation_rate', 1],
    ['a host name for an address', [ip('pump.local')], 'connection_creation_rate', 1],
    ['an unknown key', [user('a')], 'producer_bytes', 1],
    ['a key of addresses for a user', [user('a')], 'connection_creation_rate', 1],
    ['a key of users for an address', [ip('10.0.0.1')], 'producer_byte_rate', 1],
    ['nothing allowed', [user('a')], 'producer_byte_rate', 0],
    ['less than nothing', [user('a')], 'request_percentage', -1],
    ['no number', [user('a')], 'request_percentage', Number.NaN],
    ['a part of a byte', [user('a')], 'consumer_byte_rate', 1.5],
    ['a rate beyond a long', [user('a')], 'producer_byte_rate', 1e300],
    ['an endless share', [user('a')], 'request_percentage', Number.POSITIVE_INFINITY],
    ['connections beyond an int', [ip('10.0.0.1')], 'connection_creation_rate', 2 ** 31],
    ['a key that is not kept here', [user('a')], 'controller_mutation_rate', 1],
  ])('with %s are refused, and nothing of them is stored', async (_, entity, key, value) => {
    const { settle, quotas, cluster } = await openQuotas()
    const alter = quotas.alter([change(entity, key, value), change([user('fine')], 'request_percentage', 12.5)], false)
    expect(await settle(alter)).toMatchObject([{ refusal: { error: 'INVALID_REQUEST' } }, { refusal: null }])
    expect([...cluster.image.quotas.entries()]).toHaveLength(1)
  })

  it.each([
    ['the largest long, by which tools say that there is no bound', user('a'), 'consumer_byte_rate', 2 ** 63],
    ['the largest int of connections', ip('10.0.0.1'), 'connection_creation_rate', 2 ** 31 - 1],
  ])('with %s are taken', async (_, entity, key, value) => {
    const { settle, quotas } = await openQuotas()
    expect(await settle(quotas.alter([change([entity], key, value)], false))).toMatchObject([{ refusal: null }])
    expect(quotas.describe([], false)).toMatchObject([{ values: [{ key, value }] }])
  })

  it('with one key twice are refused, and what is not there can be taken back, whatever it is, without a record', async () => {
    const { settle, quotas, cluster } = await openQuotas()
    const ops = [1, 2].map((value) => ({ key: 'producer_byte_rate', value, remove: false }))
    expect(await settle(quotas.alter([{ entity: [user('a')], ops }], false))).toMatchObject([
      { refusal: { error: 'INVALID_REQUEST', message: 'The quota producer_byte_rate stands twice in the request' } },
    ])
    expect(cluster.image.quotas.size).toBe(0)
    const end = cluster.metadataLogEndOffset
    const gone = ['producer_byte_rate', 'controller_mutation_rate', 'nonesuch'].map((key) =>
      change([user(key)], key, null),
    )
    expect(await settle(quotas.alter(gone, false))).toMatchObject(gone.map(() => ({ refusal: null })))
    expect(cluster.metadataLogEndOffset).toBe(end)
  })

  it('are only judged where that is asked for, and not twice in one request', async () => {
    const { settle, quotas, cluster } = await openQuotas()
    const both = [
      change([user('a'), client('c')], 'producer_byte_rate', 1),
      change([client('c'), user('a')], 'producer_byte_rate', 2),
    ]
    expect(await settle(quotas.alter(both, true))).toMatchObject([
      { refusal: null },
      { refusal: { error: 'INVALID_REQUEST' } },
    ])
    expect(cluster.image.quotas.size).toBe(0)
  })

  it('are found by name, as a default, by any name, and strictly', async () => {
    const { settle, quotas } = await openQuotas()
    const entities = [[user('a')], [user(null)], [user('a'), client('c')], [client(null)], [ip('10.0.0.1')]]
    const key = (entity: readonly NamedEntity[]): string =>
      entity[0]?.entityType === 'ip' ? 'connection_creation_rate' : 'producer_byte_rate'
    await settle(
      quotas.alter(
        entities.map((entity, at) => change(entity, key(entity), at + 1)),
        false,
      ),
    )
    const found = (filters: readonly [string, number, string | null][], isStrict: boolean): number[] => {
      const described = quotas.describe(
        filters.map(([entityType, matchType, match]) => ({ entityType, matchType, match })),
        isStrict,
      )
      if ('error' in described) throw new Error(described.message)
      return described.flatMap(({ values }) => values.map(({ value }) => value))
    }
    expect(found([], false)).toEqual([1, 2, 3, 4, 5])
    expect(found([], true)).toEqual([])
    expect(found([['user', 0, 'a']], false)).toEqual([1, 3])
    expect(found([['user', 0, 'a']], true)).toEqual([1])
    expect(found([['user', 1, null]], false)).toEqual([2])
    expect(found([['user', 2, null]], true)).toEqual([1, 2])
    expect(
      found(
        [
          ['user', 2, null],
          ['client-id', 0, 'c'],
        ],
        false,
      ),
    ).toEqual([3])
    expect(found([['ip', 2, null]], false)).toEqual([5])
    expect(quotas.describe([{ entityType: 'group', matchType: 2, match: null }], false)).toMatchObject({
      error: 'UNSUPPORTED_VERSION',
    })
    const twice = ['ip', 'user'].map((entityType) => ({ entityType, matchType: 2, match: null }))
    expect(quotas.describe(twice, false)).toMatchObject({ error: 'INVALID_REQUEST' })
  })

  it('are there after a power cut, and what was taken back is not', async () => {
    const at = newWorld()
    const { settle, quotas } = await openQuotas(at)
    await settle(quotas.alter([change([user('a')], 'producer_byte_rate', 5)], false))
    await settle(quotas.alter([change([user('b')], 'producer_byte_rate', 6)], false))
    await settle(quotas.alter([change([user('b')], 'producer_byte_rate', null)], false))
    at.host.powerCut()
    const again = await openQuotas(at)
    expect(again.quotas.describe([], false)).toEqual([
      { entity: [user('a')], values: [{ key: 'producer_byte_rate', value: 5 }] },
    ])
  })

  it('take one record each in a snapshot', () => {
    const record = (value: number, remove = false): MetadataRecord => ({
      type: 'ClientQuotaRecord',
      version: 0,
      value: {
        entity: [user('a')].map((each) => ({ ...each, unknownTaggedFields: [] })),
        key: 'request_percentage',
        value,
        remove,
        unknownTaggedFields: [],
      },
    })
    const fold = new SnapshotFold()
    for (const each of [record(1), record(2)]) fold.add(each)
    expect(fold.records()).toEqual([record(2)])
    fold.add(record(0, true))
    expect(fold.records()).toEqual([])
  })
})
