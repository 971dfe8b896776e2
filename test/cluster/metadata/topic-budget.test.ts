import { describe, expect, it } from 'vitest'
import { budgetFault, partitionMemoryBytes } from '../../../src/cluster/metadata/topic-budget.ts'
import { clusterWorld, creationOf, startCluster, wordOf } from '../cluster-fixture.ts'

const gibibyte = 2 ** 30
const budget = { descriptors: 66, memoryBytes: 300 * partitionMemoryBytes, diskBytes: 10 * gibibyte }
const asked = { partitionsBefore: 100, partitionsMore: 10, retainedBytesBefore: 0, retainedBytesMore: 0 }

describe('the budget of partitions', () => {
  it.each([
    ['fits', asked, null],
    ['fills the open files to the last', { ...asked, partitionsMore: 100 }, null],
    [
      'needs one file too many',
      { ...asked, partitionsMore: 101 },
      /100 partitions and 101 more need 67 open files .*may keep 66/,
    ],
    [
      'fills the disk to the last byte',
      { ...asked, retainedBytesBefore: 4 * gibibyte, retainedBytesMore: 6 * gibibyte },
      null,
    ],
    [
      'promises more than the disk has',
      { ...asked, retainedBytesBefore: 4 * gibibyte, retainedBytesMore: 6 * gibibyte + 1 },
      /may fill 6442450945 bytes .*those of other topics 4294967296, together more than the 10737418240 of disk\.budget/,
    ],
    ['promises nothing on a disk that is promised away', { ...asked, retainedBytesBefore: 20 * gibibyte }, null],
  ])('says of what %s', (_what, question, answer) => {
    const fault = budgetFault(question, budget)
    if (answer === null) expect(fault).toBeNull()
    else expect(fault).toMatch(answer)
  })

  it('counts memory where it is scarcer than files', () => {
    const scarce = { ...budget, memoryBytes: 105 * partitionMemoryBytes }
    expect(budgetFault(asked, scarce)).toMatch(/need 1802240 bytes of memory \(16384 each\), this node has 1720320/)
    expect(budgetFault({ ...asked, partitionsMore: 5 }, scarce)).toBeNull()
  })
})

describe('a cluster', () => {
  it('refuses a topic, and more partitions of one, that do not fit, and says why; its own topics it makes', async () => {
    const place = clusterWorld()
    const small = { descriptors: 19, memoryBytes: gibibyte, diskBytes: gibibyte }
    const { cluster } = await startCluster(place, {}, () => small)
    const create = (name: string, partitions: number, configs: readonly (readonly [string, string])[] = []) =>
      place.world.settle(cluster.createTopic(creationOf(name, { partitions, configs: new Map(configs) })))
    expect(wordOf(await create('a', 8))).toBe('ok')
    const refused = await create('b', 5)
    expect(refused).toMatchObject({ error: 'POLICY_VIOLATION' })
    expect(refused.kind === 'refused' && refused.message).toMatch(/8 partitions and 5 more need 20 open files/)
    expect(cluster.image.topic('b')).toBeUndefined()
    expect(wordOf(await place.world.settle(cluster.createPartitions('a', 13, null, false)))).toBe('POLICY_VIOLATION')
    const large = [
      ['retention.bytes', '600000000'],
      ['segment.bytes', '1048576'],
    ] as const
    expect(wordOf(await create('c', 2, large))).toBe('POLICY_VIOLATION')
    expect(wordOf(await create('c', 1, large))).toBe('ok')
    const own = creationOf('__own', { partitions: 5, owner: 'node' })
    expect(wordOf(await place.world.settle(cluster.createTopic(own)))).toBe('ok')
  })
})
