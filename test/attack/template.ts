/** A data directory with records in it, made once and copied for each attempt; and the check that a copy still has them. */
import { strict as assert } from 'node:assert'
import type { RunningHeadwater } from '../interop/headwater.ts'
import { batchOfValues } from './batch-bytes.ts'
import { startDaemon } from './command.ts'
import { KafkaTalk } from './kafka-talk.ts'

export interface Template {
  readonly dataDir: string
  /** Throws when a record is missing that this template holds. */
  expectIn(daemon: RunningHeadwater): Promise<void>
}

const topic = 'kept'
const values = Array.from({ length: 20 }, (_, index) => `value-${index}`)

/** Makes one by running the daemon, and stops it cleanly. */
export async function makeTemplate(dataDir: string): Promise<Template> {
  const daemon = await startDaemon({ dataDir })
  const talk = await KafkaTalk.connect(daemon.kafka)
  assert.equal(await talk.createTopic(topic, 2), 'NONE')
  for (const value of values) assert.equal((await talk.produce(topic, 1, batchOfValues([value]))).error, 'NONE')
  talk.close()
  assert.equal(await daemon.stop(), 0)
  return {
    dataDir,
    async expectIn(running) {
      const reader = await KafkaTalk.connect(running.kafka)
      const read = await reader.readAll(topic, 1)
      reader.close()
      assert.deepEqual(
        read.map(({ value }) => value),
        values,
      )
    },
  }
}

/** Starts the daemon on the directory: it serves every record, and stops with exit code 0. */
export async function expectRecords(dataDir: string, template: Template): Promise<void> {
  const daemon = await startDaemon({ dataDir })
  try {
    await template.expectIn(daemon)
  } finally {
    assert.equal(await daemon.stop(), 0, 'the exit code of a stop')
  }
}
