/** The code on the wire of an error, or of none. */
import { errorCode, type KafkaErrorName } from '../../../protocol/kafka/error-codes.ts'

/** 0 for null. */
export function codeOf(error: KafkaErrorName | null): number {
  return error === null ? 0 : errorCode(error)
}
