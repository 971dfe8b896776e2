/** The handlers of quotas: DescribeClientQuotas, AlterClientQuotas. They translate; `broker/quota-admin.ts` does it. */
import type { QuotaAdmin } from '../../../broker/quota-admin.ts'
import type {
  AlterClientQuotasRequest,
  AlterClientQuotasResponseInput,
} from '../../../protocol/kafka/messages/alter-client-quotas.ts'
import type {
  DescribeClientQuotasRequest,
  DescribeClientQuotasResponseInput,
} from '../../../protocol/kafka/messages/describe-client-quotas.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'
import { codeOf } from './error-code-of.ts'

/** Their rows of the table. */
export function quotaHandlers(quotas: QuotaAdmin): readonly HandlerEntry[] {
  return [
    [48, describeQuotas(quotas)],
    [49, alterQuotas(quotas)],
  ]
}

/** DescribeClientQuotas 0-1. */
function describeQuotas(
  quotas: QuotaAdmin,
): KafkaHandler<DescribeClientQuotasRequest, DescribeClientQuotasResponseInput> {
  return ({ components, strict }) => {
    const found = quotas.describe(components, strict)
    return 'error' in found
      ? { errorCode: codeOf(found.error), errorMessage: found.message, entries: null }
      : { errorCode: 0, errorMessage: '', entries: found }
  }
}

/** AlterClientQuotas 0-1. */
function alterQuotas(quotas: QuotaAdmin): KafkaHandler<AlterClientQuotasRequest, AlterClientQuotasResponseInput> {
  return async ({ entries, validateOnly }) => ({
    entries: (await quotas.alter(entries, validateOnly)).map(({ entity, refusal }) => ({
      errorCode: codeOf(refusal?.error ?? null),
      errorMessage: refusal?.message ?? null,
      entity,
    })),
  })
}
