/** What clients are told of the cluster. */
import { expect, it } from 'vitest'
import { featuresOf } from '../src/appliance-cluster.ts'
import { metadataVersionLevel } from '../src/cluster/metadata/metadata-controller.ts'
import { openAdmin } from './broker/admin-world.ts'

it('tells that the quorum is a dynamic one, each finalized level within what is supported', async () => {
  const { cluster } = await openAdmin()
  const { epoch, finalized, supported } = featuresOf(cluster)
  expect(finalized).toEqual([
    { name: 'metadata.version', level: metadataVersionLevel },
    { name: 'kraft.version', level: 1 },
  ])
  for (const { name, level } of finalized) {
    const range = supported.find((each) => each.name === name)
    expect([name, (range?.minVersion ?? Infinity) <= level && level <= (range?.maxVersion ?? -1)]).toEqual([name, true])
  }
  expect(epoch).toBe(cluster.metadataEndOffset - 1)
})
