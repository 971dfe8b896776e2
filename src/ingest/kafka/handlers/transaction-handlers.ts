/**
 * The handlers that look for transactions: ListTransactions 0-2, DescribeTransactions 0. There are none, as no transactional id is taken
 * (InitProducerId); tools that list them, or look for hanging ones, hear just that.
 */
import { errorCode } from '../../../protocol/kafka/error-codes.ts'
import type {
  DescribeTransactionsRequest,
  DescribeTransactionsResponseInput,
} from '../../../protocol/kafka/messages/describe-transactions.ts'
import type {
  ListTransactionsRequest,
  ListTransactionsResponseInput,
} from '../../../protocol/kafka/messages/list-transactions.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'

/** The two rows of the table. */
export function transactionHandlers(): readonly HandlerEntry[] {
  return [
    [65, describeTransactions],
    [66, listTransactions],
  ]
}

const states: ReadonlySet<string> = new Set([
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
])

/** A pattern for ids is not judged: to compile a stranger's takes half a second of the loop, and there is no id to match. */
const listTransactions: KafkaHandler<ListTransactionsRequest, ListTransactionsResponseInput> = ({ stateFilters }) => ({
  unknownStateFilters: stateFilters.filter((state) => !states.has(state)),
})

const describeTransactions: KafkaHandler<DescribeTransactionsRequest, DescribeTransactionsResponseInput> = ({
  transactionalIds,
}) => ({
  transactionStates: transactionalIds.map((transactionalId) => ({
    errorCode: errorCode(transactionalId === '' ? 'INVALID_REQUEST' : 'TRANSACTIONAL_ID_NOT_FOUND'),
    transactionalId,
  })),
})
