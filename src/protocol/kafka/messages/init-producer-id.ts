/** Kafka API 22, InitProducerId: versions 0 to 5. */
import { int16, int32, int64, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Asks for a producer id and epoch (KIP-98, KIP-360). */
export const InitProducerIdRequest = message({
  name: 'InitProducerIdRequest',
  apiKey: 22,
  versions: '0-5',
  flexible: '2+',
  fields: {
    /** Null = not transactional. */
    transactionalId: string('0+', { nullable: '0+' }),
    /** After this idle time the coordinator aborts, in milliseconds. */
    transactionTimeoutMs: int32(),
    /** Of a producer that asks for a new epoch (KIP-360); -1 = a new producer. */
    producerId: int64('3+', { default: -1 }),
    producerEpoch: int16('3+', { default: -1 }),
  },
})
export type InitProducerIdRequest = InferMessage<typeof InitProducerIdRequest>
export type InitProducerIdRequestInput = InferInput<typeof InitProducerIdRequest>

/** The producer id and epoch. */
export const InitProducerIdResponse = message({
  name: 'InitProducerIdResponse',
  apiKey: 22,
  versions: '0-5',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16(),
    producerId: int64('0+', { default: -1 }),
    producerEpoch: int16(),
  },
})
export type InitProducerIdResponse = InferMessage<typeof InitProducerIdResponse>
export type InitProducerIdResponseInput = InferInput<typeof InitProducerIdResponse>
