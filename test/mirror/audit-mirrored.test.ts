/** The audit of a whole appliance on simulated disks: carried to the central cluster as one chain, over power cuts; and kept only where it is asked for. */
import { describe, expect, test } from 'vitest'
import { createTopicsApi, fetchApi } from '../../src/protocol/kafka/apis.ts'
import { ChainCheck } from '../../src/security/audit/audit-chain-check.ts'
import { simWorld, type SimWorld } from '../sim/world.ts'
import { ApplianceNode } from './appliance-node.ts'
import { recordsIn } from './batches.ts'

async function boot(world: SimWorld, name: string, more: object): Promise<ApplianceNode> {
  const node = new ApplianceNode(world, name, more)
  await node.boot()
  return node
}

async function create(world: SimWorld, { kafka }: ApplianceNode, name: string): Promise<void> {
  const topics = [{ name, numPartitions: 1, replicationFactor: 1 }]
  await world.settle(kafka.send(createTopicsApi, { topics, timeoutMs: 10_000 }))
}

/** The values of a topic's records, from its start. */
async function read(world: SimWorld, { kafka }: ApplianceNode, topic: string): Promise<string[]> {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 24 }]
  const asking = kafka.send(
    fetchApi,
    { maxWaitMs: 10, minBytes: 0, maxBytes: 1 << 24, topics: [{ topic, partitions }] },
    { version: 12 },
  )
  const { responses } = await world.settle(asking)
  const records = responses[0]?.partitions[0]?.records ?? null
  return records === null ? [] : recordsIn(records).map(({ value }) => Buffer.from(value ?? []).toString('utf8'))
}

const withAuthorizer = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': 'User:ANONYMOUS',
}

describe('the audit of an appliance', () => {
  test('reaches the central cluster as one chain, over power cuts, where a mirror names it', async () => {
    const world = simWorld(11)
    const central = await boot(world, 'central', {})
    const mirrors = [
      {
        name: 'central',
        bootstrapServers: [`${world.host('central').address}:9092`],
        topics: ['.*', '__headwater_audit'],
      },
    ]
    const edgeOptions = { mirrors, audit: { keep: 'always' } }
    const edge = await boot(world, 'edge', edgeOptions)
    for (const topic of ['a', 'b']) await create(world, edge, topic)
    await world.runFor(20_000)
    await edge.restart('powerCut')
    await create(world, edge, 'c')
    await world.runFor(60_000)
    const lines = await read(world, central, 'edge.__headwater_audit')
    const check = new ChainCheck()
    for (const [at, line] of lines.entries()) check.line(line, `record ${at}`)
    expect(check).toHaveProperty('fault', null)
    expect(check.uncleanStops).toBe(1)
    const subjects = lines.map((line) => (JSON.parse(line) as { subject: string }).subject)
    expect(['a', 'b', 'c'].filter((topic) => subjects.includes(topic))).toEqual(['a', 'b', 'c'])
    expect(lines).toEqual(await read(world, edge, '__headwater_audit'))
    await world.settle(edge.running.stop())
  })

  test.each([
    ['auto', {}, 0],
    ['auto', withAuthorizer, 1],
    ['never', withAuthorizer, 0],
    ['always', {}, 1],
  ] as const)('is kept: %s, with %o: %i', async (keep, kafka, files) => {
    const world = simWorld(12)
    const node = await boot(world, 'edge', { audit: { keep }, kafka })
    await create(world, node, 'a')
    await world.runFor(5_000)
    expect(
      world
        .host('edge')
        .image.filePaths()
        .filter((path) => path.includes('/audit/')),
    ).toHaveLength(files)
    await world.settle(node.running.stop())
  })

  test('does not keep an appliance from starting and serving while its disk takes none of it', async () => {
    const world = simWorld(13)
    world.host('edge').failDisk({ operation: 'writeFile', path: /\/audit\//, code: 'ENOSPC' })
    const node = await boot(world, 'edge', { audit: { keep: 'always' } })
    await create(world, node, 'a')
    await world.runFor(5_000)
    expect(node.running.operations.health()).toMatchObject({ live: true, ready: true })
    expect(node.running.operations.status().topics).toBeGreaterThan(0)
    const before = world.nowMs
    await world.settle(node.running.stop())
    expect(world.nowMs - before).toBeLessThan(10_000)
  })
})
