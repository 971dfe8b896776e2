/** Control records of transactions. */
import { int16, int32, message, type InferInput, type InferMessage } from '../schema.ts'

/** Key of a control record behind its int16 version: 0 abort, 1 commit, 2 leader change, 3 snapshot header, 4 snapshot footer, 5 kraft.version, 6 voters. */
export const ControlRecordTypeSchema = message({
  name: 'ControlRecordTypeSchema',
  versions: '0',
  flexible: 'none',
  fields: {
    type: int16(),
  },
})
export type ControlRecordTypeSchema = InferMessage<typeof ControlRecordTypeSchema>
export type ControlRecordTypeSchemaInput = InferInput<typeof ControlRecordTypeSchema>

/** Value of the control record that ends a transaction in a partition. */
export const EndTxnMarker = message({
  name: 'EndTxnMarker',
  versions: '0',
  flexible: 'none',
  fields: {
    /** Of the transaction coordinator. */
    coordinatorEpoch: int32(),
  },
})
export type EndTxnMarker = InferMessage<typeof EndTxnMarker>
export type EndTxnMarkerInput = InferInput<typeof EndTxnMarker>
