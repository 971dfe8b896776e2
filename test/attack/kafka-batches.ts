/** Record sets that must not be stored. */
import { strict as assert } from 'node:assert'
import type { KafkaErrorName } from '../../src/protocol/kafka/error-codes.ts'
import { batchOfValues } from './batch-bytes.ts'
import { brokenBatches } from './broken-batches.ts'
import type { DoorWorld } from './door-world.ts'
import { each, type Row } from './row.ts'

export function kafkaBatchRows(world: DoorWorld): readonly Row[] {
  return [
    {
      name: 'Kafka: each kind of broken batch is answered with its error, and nothing of it is stored',
      async run() {
        // Before there is a connection: while they are made it would be idle for too long on a busy machine.
        const batches = brokenBatches()
        const talk = await world.talk()
        assert.equal(await talk.createTopic('broken-batches'), 'NONE')
        await each(batches, async ({ records, version, error }) => {
          const before = await talk.endOffset('broken-batches', 0)
          const answer = await talk.produce('broken-batches', 0, records, version)
          assert.equal(answer.error, error satisfies KafkaErrorName)
          assert.equal(answer.baseOffset, -1)
          assert.equal(await talk.endOffset('broken-batches', 0), before, 'the end of the log has moved')
        })
        const good = await talk.produce('broken-batches', 0, batchOfValues(['still', 'serving']))
        assert.deepEqual([good.error, good.baseOffset], ['NONE', 0])
        talk.close()
      },
    },
  ]
}
