/** Records of `__cluster_metadata` that make several records one. */
import { message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Opens a set of records that takes effect as a whole (KIP-868). */
export const BeginTransactionRecord = message({
  name: 'BeginTransactionRecord',
  apiKey: 23,
  versions: '0',
  flexible: '0+',
  fields: {
    name: string('0+', { nullable: '0+', tag: 0, default: null }),
  },
})
export type BeginTransactionRecord = InferMessage<typeof BeginTransactionRecord>
export type BeginTransactionRecordInput = InferInput<typeof BeginTransactionRecord>

/** The set takes effect. */
export const EndTransactionRecord = message({
  name: 'EndTransactionRecord',
  apiKey: 24,
  versions: '0',
  flexible: '0+',
  fields: {},
})
export type EndTransactionRecord = InferMessage<typeof EndTransactionRecord>
export type EndTransactionRecordInput = InferInput<typeof EndTransactionRecord>

/** The set never was. */
export const AbortTransactionRecord = message({
  name: 'AbortTransactionRecord',
  apiKey: 25,
  versions: '0',
  flexible: '0+',
  fields: {
    reason: string('0+', { nullable: '0+', tag: 0, default: null }),
  },
})
export type AbortTransactionRecord = InferMessage<typeof AbortTransactionRecord>
export type AbortTransactionRecordInput = InferInput<typeof AbortTransactionRecord>
