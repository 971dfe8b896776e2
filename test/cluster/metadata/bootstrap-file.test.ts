/** `bootstrap.checkpoint`, judged by one that Apache Kafka 4.3.1 has written (`kafka-storage format --standalone --add-scram`). */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { formatIdentity } from '../../../src/log/identity.ts'
import { readSnapshot } from '../../../src/cluster/metadata/metadata-snapshot.ts'
import { encodeSnapshotFile } from '../../../src/cluster/metadata/snapshot-writer.ts'
import { batchSizeInBytes } from '../../../src/protocol/records/record-batch.ts'
import { type ClusterWorld, clusterWorld, creationOf, startCluster, stopCluster } from '../cluster-fixture.ts'

const foreign = new Uint8Array(readFileSync(new URL('../../golden/kafka-bootstrap.checkpoint', import.meta.url)))
const path = '/data/log/bootstrap.checkpoint'

function recordsOf(bytes: Uint8Array | null): readonly { readonly type: string; readonly value: unknown }[] {
  const records = bytes === null ? 'there is none' : readSnapshot(bytes)
  if (typeof records === 'string') throw new Error(records)
  return records
}

/** A snapshot with the times of its batches, and the checksums over them, taken out. */
function timeless(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  for (let at = 0; at < copy.length; at += batchSizeInBytes(copy, at))
    copy.fill(0, at + 17, at + 21).fill(0, at + 27, at + 43)
  return copy
}

/** A directory as `kafka-storage format` leaves it, with Kafka's own file in it or another one. */
async function formatted(place: ClusterWorld, bytes: Uint8Array): Promise<void> {
  const { disk } = place.host.boot()
  const identity = { clusterId: 'AbCdEfGhSUaNh1X5OejQ2w', nodeId: 1, directoryId: 'JFTmE3MkSb-kY3Gs9xpNhA' }
  await place.world.settle(
    disk.submit([
      { kind: 'makeDirectory', path: '/data/log' },
      { kind: 'writeFile', path: '/data/log/meta.properties', bytes: formatIdentity(identity) },
      { kind: 'writeFile', path, bytes },
    ]),
  )
  place.host.kill()
}

const kafkasFeatures = [
  ['metadata.version', 30],
  ['eligible.leader.replicas.version', 1],
  ['group.version', 1],
  ['share.version', 1],
  ['streams.version', 1],
  ['transaction.version', 2],
]

describe('bootstrap.checkpoint', () => {
  it('is written as Apache Kafka writes it, but for the times', async () => {
    const content = { records: readSnapshot(foreign) as never, epoch: 0, timestampMs: 7, coversUntilMs: 0, voter: null }
    const ours = await encodeSnapshotFile(content, () => Promise.resolve())
    expect(Buffer.from(timeless(ours)).toString('hex')).toBe(Buffer.from(timeless(foreign)).toString('hex'))
  })

  it('of a new directory names the features that are finalised, and stays as it is', async () => {
    const place = clusterWorld()
    const life = await startCluster(place)
    const written = place.host.fileNow(path)
    expect(recordsOf(written)).toMatchObject([
      { type: 'FeatureLevelRecord', value: { name: 'metadata.version', featureLevel: 27 } },
    ])
    await stopCluster(place, life)
    const again = await startCluster(place)
    expect(again.cluster.image.features()).toEqual(new Map([['metadata.version', 27]]))
    expect(place.host.fileNow(path)).toEqual(written)
  })

  it('gives a new metadata log what Kafka has formatted: features and credentials, once', async () => {
    const place = clusterWorld()
    await formatted(place, foreign)
    const life = await startCluster(place)
    expect([...life.cluster.image.features()]).toEqual(kafkasFeatures)
    const { credentials } = life.cluster.image
    expect(credentials.get('plant', 'SCRAM-SHA-256')?.iterations).toBe(4096)
    expect(place.host.fileNow(path)).toEqual(foreign)
    await place.world.settle(
      life.cluster.controller.write(() => ({
        records: [{ type: 'RemoveUserScramCredentialRecord', version: 0, value: { name: 'plant', mechanism: 1 } }],
        answer: null,
      })),
    )
    await stopCluster(place, life)
    const again = await startCluster(place)
    expect(again.cluster.image.credentials.size).toBe(0)
    expect([...again.cluster.image.features()]).toEqual(kafkasFeatures)
  })

  it('does not bring credentials back when the metadata log was lost', async () => {
    const place = clusterWorld()
    await formatted(place, foreign)
    const life = await startCluster(place)
    await place.world.settle(life.cluster.createTopic(creationOf('a')))
    await stopCluster(place, life)
    const folder = '/data/log/__cluster_metadata-0'
    for (const name of place.host.image.filePaths().filter((each) => each.startsWith(folder)))
      place.host.image.unlink(name)
    place.host.image.removeDirectory(folder)
    const again = await startCluster(place)
    expect(again.cluster.hold.reason).toBe('the metadata log was gone')
    expect(again.cluster.image.credentials.size).toBe(0)
    expect([...again.cluster.image.features()]).toEqual(kafkasFeatures)
  })

  it('that is damaged or cut short is told, gives nothing, and is written anew', async () => {
    for (const bytes of [foreign.slice(0, 300), foreign.with(200, 0xff), new Uint8Array(0)]) {
      const place = clusterWorld()
      await formatted(place, bytes)
      const { cluster } = await startCluster(place)
      expect(place.host.observer.eventsOf('metadata-snapshot-ignored')).toHaveLength(1)
      expect(cluster.image.features()).toEqual(new Map([['metadata.version', 27]]))
      expect(cluster.image.credentials.size).toBe(0)
      expect(recordsOf(place.host.fileNow(path))).toHaveLength(1)
    }
  })

  it('is not waited for on a full disk, nor left half written', async () => {
    const place = clusterWorld()
    const recover = place.host.failDisk({ operation: 'rename', path: /bootstrap/, code: 'ENOSPC' })
    const life = await startCluster(place)
    expect(life.directory.failure).toBeNull()
    expect(place.host.image.filePaths().filter((each) => each.includes('bootstrap'))).toEqual([])
    recover()
    await stopCluster(place, life)
    await startCluster(place)
    expect(recordsOf(place.host.fileNow(path))).toHaveLength(1)
  })
})
