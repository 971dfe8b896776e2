import { expect, it } from 'vitest'
import type { Partition } from '../../../src/cluster/partition/partition.ts'
import { OutgoingMessage } from '../../../src/ingest/mqtt/outgoing-message.ts'
import { ReadCommand } from '../../../src/ingest/mqtt/read-command.ts'

it('a command is looked for by its topic without a message, which is made once for all who take it', () => {
  const mark = { partition: { index: 0 } as Partition, offset: 7, topic: 'pump/ü/set', expiresMs: 10 }
  let made = 0
  const command = new ReadCommand(mark, () => {
    made += 1
    return new OutgoingMessage(Buffer.from(mark.topic), Buffer.from('on'), [], null, mark)
  })
  expect([Buffer.from(command.topic).toString(), made]).toEqual(['pump/ü/set', 0])
  expect(command.message).toBe(command.message)
  expect([command.message.command, made]).toEqual([mark, 1])
})
