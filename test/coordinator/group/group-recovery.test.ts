import { expect, test } from 'vitest'
import type { Ports } from '../../../src/base/ports.ts'
import { Partition } from '../../../src/cluster/partition/partition.ts'
import { PartitionTable } from '../../../src/cluster/partition/partition-table.ts'
import { GroupCoordinator } from '../../../src/coordinator/group/group-coordinator.ts'
import { groupOptionDefaults } from '../../../src/coordinator/group/group-options.ts'
import type { CommitRequest } from '../../../src/coordinator/group/group-requests.ts'
import { offsetsTopic } from '../../../src/coordinator/group/offsets-topic.ts'
import { partitionTableLog } from '../../../src/coordinator/runtime/partition-table-log.ts'
import { openSmall, smallConfig, topicIdOf } from '../../log/log-fixture.ts'
import { simWorld } from '../../sim/world.ts'

const partitionCount = 2
const groups = 6

/** The coordinator over the real log engine, as a start of the appliance builds it. */
async function start(ports: Ports, leaderEpoch: number) {
  const directory = await openSmall(ports)
  const table = new PartitionTable(directory)
  for (let partition = 0; partition < partitionCount; partition++) {
    const topic = offsetsTopic.name
    const config = { ...smallConfig, segmentBytes: 2_000 }
    const log = await directory.createLog({ topic, partition, topicId: topicIdOf('offsets'), config })
    table.add(new Partition(log, leaderEpoch))
  }
  const coordinator = await GroupCoordinator.open({
    ...ports,
    log: partitionTableLog(table, offsetsTopic.name, () => partitionCount),
    createTopic: () => Promise.reject(new Error('it is there')),
    options: groupOptionDefaults,
  })
  return { coordinator, directory }
}

const commitOf = (group: number, offset: number): CommitRequest => ({
  groupId: `g${group}`,
  memberId: '',
  groupInstanceId: null,
  generationId: -1,
  retentionMs: null,
  knowsGroupIdNotFound: true,
  offsets: [{ topic: 't', partition: 0, offset, leaderEpoch: -1, metadata: `m${offset}` }],
})

function offsetOf(coordinator: GroupCoordinator, group: number): number {
  const fetched = coordinator.fetchOffsets({ groupId: `g${group}`, topics: null, requireStable: false })
  if (typeof fetched === 'string') throw new Error(fetched)
  const [only] = fetched
  if (only !== undefined) expect(only.metadata).toBe(`m${only.offset}`)
  return only?.offset ?? -1
}

test.each(Array.from({ length: 40 }, (_, seed) => seed + 1))(
  'an acknowledged commit survives a crash, none goes back, seed %i',
  async (seed) => {
    const world = simWorld(seed)
    const host = world.host('broker')
    const acknowledged = Array.from({ length: groups }, () => -1)
    const sent = Array.from({ length: groups }, () => -1)
    for (let round = 0; round < 4; round++) {
      const { coordinator } = await world.settle(start(host.boot(), round))
      for (let group = 0; group < groups; group++) {
        const found = offsetOf(coordinator, group)
        expect(found).toBeGreaterThanOrEqual(acknowledged[group] as number)
        expect(found).toBeLessThanOrEqual(sent[group] as number)
        acknowledged[group] = found
        const commitNext = (): void => {
          const offset = (sent[group] as number) + 1
          sent[group] = offset
          void coordinator.commit(commitOf(group, offset)).then(({ error, errors }) => {
            expect([error, errors]).toEqual([null, [null]])
            expect(offsetOf(coordinator, group)).toBeGreaterThanOrEqual(offset)
            acknowledged[group] = Math.max(acknowledged[group] as number, offset)
            commitNext()
          })
        }
        // Two at a time, so that one is under way when another is acknowledged.
        commitNext()
        commitNext()
      }
      await world.runFor(world.prng.real(1, 120))
      if (world.prng.below(2) === 0) host.kill()
      else host.powerCut()
    }
    expect(Math.max(...acknowledged)).toBeGreaterThan(3)
  },
)

test('a damaged range of __consumer_offsets is passed over, counted and told; what is behind it is served', async () => {
  const world = simWorld(77)
  const host = world.host('broker')
  const first = await world.settle(start(host.boot(), 0))
  for (let round = 0; round < 3; round++)
    for (let group = 0; group < groups; group++) await world.settle(first.coordinator.commit(commitOf(group, round)))
  await world.settle(first.directory.close())
  host.kill()
  const files = [...first.directory.logs.values()].map((log) => (log.segments[0] as { logPath: string }).logPath)
  // The first batch of each partition: commits that later ones have taken the place of.
  for (const file of files) if ((host.fileNow(file)?.length ?? 0) > 0) host.corrupt(file, 70, 1)
  const { coordinator } = await world.settle(start(host.boot(), 1))
  for (let group = 0; group < groups; group++) expect(offsetOf(coordinator, group)).toBe(2)
  const told = host.observer.eventsOf('group-records-damaged')
  expect(told.length).toBeGreaterThan(0)
  expect(host.observer.figure('headwater_group_damaged_offsets_total')).toBe(told.length)
})
