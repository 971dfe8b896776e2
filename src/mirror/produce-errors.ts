/**
 * What an error of the target means for a partition: a table. Whatever it is, sending stops, the batches under way are
 * answered, and the place to go on from is asked of the target; the actions differ in when and how.
 */
import { errorIsRetriable, type KafkaErrorName } from '../protocol/kafka/error-codes.ts'

export type RefusalAction =
  /** The target holds it already. */
  | 'done'
  /** The leader is elsewhere, or the topic has gone: ask for metadata, then go on. */
  | 'moved'
  /** Passing: back off, then go on. */
  | 'retry'
  /** The sequence is not what the target expects: ask it where it is. */
  | 'resolve'
  /** The producer id or epoch is of no use any more: begin a new one. */
  | 'newProducer'
  /** Make smaller batches. */
  | 'smaller'
  /** Nothing that we can heal: wait for the operator, look again from time to time. */
  | 'park'

const actions: Readonly<Partial<Record<KafkaErrorName, RefusalAction>>> = {
  DUPLICATE_SEQUENCE_NUMBER: 'done',
  NOT_LEADER_OR_FOLLOWER: 'moved',
  LEADER_NOT_AVAILABLE: 'moved',
  FENCED_LEADER_EPOCH: 'moved',
  UNKNOWN_LEADER_EPOCH: 'moved',
  UNKNOWN_TOPIC_OR_PARTITION: 'moved',
  UNKNOWN_TOPIC_ID: 'moved',
  INCONSISTENT_TOPIC_ID: 'moved',
  KAFKA_STORAGE_ERROR: 'moved',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'resolve',
  UNKNOWN_PRODUCER_ID: 'newProducer',
  INVALID_PRODUCER_EPOCH: 'newProducer',
  PRODUCER_FENCED: 'newProducer',
  INVALID_PRODUCER_ID_MAPPING: 'newProducer',
  MESSAGE_TOO_LARGE: 'smaller',
  RECORD_LIST_TOO_LARGE: 'smaller',
  // Changed on the way: the copy here passed its check when it was read. A second try tells.
  CORRUPT_MESSAGE: 'retry',
  UNKNOWN_SERVER_ERROR: 'retry',
}

/** The action for an error; what the table does not name is retried when Kafka calls it retriable, else the partition is parked. */
export function refusalAction(error: KafkaErrorName): RefusalAction {
  return actions[error] ?? (errorIsRetriable(error) ? 'retry' : 'park')
}
