import { describe, expect, it } from 'vitest'
import {
  errorCode,
  errorIsRetriable,
  errorName,
  errorSentence,
  type KafkaErrorName,
  kafkaErrors,
} from '../../../src/protocol/kafka/error-codes.ts'

describe('the table of errors', () => {
  it('has every code from -1 to 133 once, in order', () => {
    expect(Object.values(kafkaErrors).map(({ code }) => code)).toEqual(Array.from({ length: 135 }, (_, i) => i - 1))
  })

  it('finds the name of a code and the code of a name', () => {
    for (const name of Object.keys(kafkaErrors) as KafkaErrorName[]) expect(errorName(errorCode(name))).toBe(name)
    expect(errorCode('NOT_LEADER_OR_FOLLOWER')).toBe(6)
    expect(errorName(45)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  it('takes a code it does not know for an unknown server error', () => {
    expect(errorName(32_000)).toBe('UNKNOWN_SERVER_ERROR')
  })

  it('says of each what happened, in one sentence', () => {
    for (const name of Object.keys(kafkaErrors) as KafkaErrorName[])
      expect(errorSentence(name)).toMatch(/^[A-Za-z].*\.$/)
  })

  it('knows which are worth another try', () => {
    expect(errorIsRetriable('KAFKA_STORAGE_ERROR')).toBe(true)
    expect(errorIsRetriable('COORDINATOR_LOAD_IN_PROGRESS')).toBe(true)
    expect(errorIsRetriable('MESSAGE_TOO_LARGE')).toBe(false)
    expect(errorIsRetriable('NONE')).toBe(false)
  })
})
