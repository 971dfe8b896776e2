/** The handlers of records and offsets: Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords, InitProducerId, DescribeProducers. */
import type { Broker } from '../../../broker/broker.ts'
import { deleteRecords, describeProducers, listOffsets, offsetsForLeaderEpoch } from '../../../broker/offsets.ts'
import { errorCode } from '../../../protocol/kafka/error-codes.ts'
import type {
  DeleteRecordsRequest,
  DeleteRecordsResponseInput,
} from '../../../protocol/kafka/messages/delete-records.ts'
import type {
  DescribeProducersRequest,
  DescribeProducersResponseInput,
} from '../../../protocol/kafka/messages/describe-producers.ts'
import type { FetchRequest, FetchResponseInput } from '../../../protocol/kafka/messages/fetch.ts'
import type {
  InitProducerIdRequest,
  InitProducerIdResponseInput,
} from '../../../protocol/kafka/messages/init-producer-id.ts'
import type { ListOffsetsRequest, ListOffsetsResponseInput } from '../../../protocol/kafka/messages/list-offsets.ts'
import type {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponseInput,
} from '../../../protocol/kafka/messages/offset-for-leader-epoch.ts'
import type { UnheardRefusal } from '../../../broker/produce.ts'
import type { ProduceRequest, ProduceResponseInput } from '../../../protocol/kafka/messages/produce.ts'
import { CloseConnection, type HandlerEntry, type KafkaHandler } from '../handler.ts'

export function recordHandlers(broker: Broker): readonly HandlerEntry[] {
  return [
    [0, produceHandler(broker)],
    [1, fetchHandler(broker)],
    [2, listOffsetsHandler(broker)],
    [21, deleteRecordsHandler(broker)],
    [22, initProducerIdHandler(broker)],
    [23, offsetForLeaderEpochHandler(broker)],
    [61, describeProducersHandler(broker)],
  ]
}

/**
 * Produce 0-13. Batch v2 only: versions 0 to 2 are answered UNSUPPORTED_FOR_MESSAGE_FORMAT. Transactional ids are refused. With
 * acks=0 a refusal closes the connection, as in Kafka: the producer connects again, and asks for the metadata anew.
 */
function produceHandler(broker: Broker): KafkaHandler<ProduceRequest, ProduceResponseInput> {
  const answerOf = (
    answer: ProduceResponseInput | UnheardRefusal | null,
  ): ProduceResponseInput | CloseConnection | null =>
    answer === null || !('refusal' in answer)
      ? answer
      : new CloseConnection(`records sent with acks=0 were refused: ${answer.refusal}`)
  return (request, context) => {
    const answer = broker.produce(request, context)
    return answer instanceof Promise ? answer.then(answerOf) : answerOf(answer)
  }
}

/** Fetch 4-18: consumers only; a follower's fetch is answered like a consumer's, because there is one replica. */
function fetchHandler(broker: Broker): KafkaHandler<FetchRequest, FetchResponseInput> {
  return (request, context) => broker.fetch(request, context)
}

/** ListOffsets 1-11. */
function listOffsetsHandler(broker: Broker): KafkaHandler<ListOffsetsRequest, ListOffsetsResponseInput> {
  return (request, context) => listOffsets(request, context.apiVersion, broker)
}

/** OffsetForLeaderEpoch 2-4. */
function offsetForLeaderEpochHandler(
  broker: Broker,
): KafkaHandler<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponseInput> {
  return (request) => offsetsForLeaderEpoch(request, broker)
}

/** DeleteRecords 0-2: the new log start is durable before the answer, or the answer is REQUEST_TIMED_OUT. */
function deleteRecordsHandler(broker: Broker): KafkaHandler<DeleteRecordsRequest, DeleteRecordsResponseInput> {
  return (request) => deleteRecords(request, broker)
}

/** DescribeProducers 0. */
function describeProducersHandler(
  broker: Broker,
): KafkaHandler<DescribeProducersRequest, DescribeProducersResponseInput> {
  return (request) => describeProducers(request, broker)
}

/**
 * InitProducerId 0-5 for idempotent producers. A transactional id is refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED: of all
 * errors the one that clients treat as final and show, instead of trying for ever.
 */
function initProducerIdHandler(broker: Broker): KafkaHandler<InitProducerIdRequest, InitProducerIdResponseInput> {
  return async (request) => {
    const refuse = (error: Parameters<typeof errorCode>[0]): InitProducerIdResponseInput => ({
      errorCode: errorCode(error),
      producerId: -1,
      producerEpoch: -1,
    })
    if (request.transactionalId === '') return refuse('INVALID_REQUEST')
    if (request.transactionalId !== null) return refuse('TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
    // KIP-360: an id and its epoch come together or not at all.
    if ((request.producerId === -1) !== (request.producerEpoch === -1)) return refuse('INVALID_REQUEST')
    try {
      return { errorCode: 0, producerId: await broker.producerIds.next(), producerEpoch: 0 }
    } catch {
      // The disk has failed; the metadata log has told the observer. The client may ask again.
      return refuse('COORDINATOR_NOT_AVAILABLE')
    }
  }
}
