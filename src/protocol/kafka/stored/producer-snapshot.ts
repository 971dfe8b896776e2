/** The state of producers beside a segment. */
import { array, int16, int32, int64, message, uint32, type InferInput, type InferMessage } from '../schema.ts'

/** Content of a `.snapshot` file behind an int16 with its version. */
export const ProducerSnapshot = message({
  name: 'ProducerSnapshot',
  versions: '1',
  flexible: 'none',
  fields: {
    /** CRC-32C of what follows it. */
    crc: uint32(),
    producerEntries: array('0+', {
      producerId: int64(),
      epoch: int16(),
      lastSequence: int32(),
      /** Of the last batch. */
      lastOffset: int64(),
      /** Last offset minus first offset of that batch. */
      offsetDelta: int32(),
      /** Milliseconds since 1970. */
      timestamp: int64(),
      /** Of the last marker; -1 = none. */
      coordinatorEpoch: int32(),
      /** -1 = no open transaction. */
      currentTxnFirstOffset: int64(),
    }),
  },
})
export type ProducerSnapshot = InferMessage<typeof ProducerSnapshot>
export type ProducerSnapshotInput = InferInput<typeof ProducerSnapshot>
