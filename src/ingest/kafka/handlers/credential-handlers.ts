/** The handlers about users: DescribeUserScramCredentials, AlterUserScramCredentials. They translate; `broker/scram-admin.ts` does it. */
import type { ScramAdmin, UserOutcome } from '../../../broker/scram-admin.ts'
import type {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponseInput,
} from '../../../protocol/kafka/messages/alter-user-scram-credentials.ts'
import type {
  DescribeUserScramCredentialsRequest,
  DescribeUserScramCredentialsResponseInput,
} from '../../../protocol/kafka/messages/describe-user-scram-credentials.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'
import { codeOf } from './error-code-of.ts'

/** Their rows of the table. */
export function credentialHandlers(scram: ScramAdmin): readonly HandlerEntry[] {
  return [
    [50, describeCredentials(scram)],
    [51, alterCredentials(scram)],
  ]
}

/** DescribeUserScramCredentials 0. */
function describeCredentials(
  scram: ScramAdmin,
): KafkaHandler<DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponseInput> {
  return ({ users }) => ({
    errorCode: 0,
    errorMessage: null,
    results: scram.describe(users?.map(({ name }) => name) ?? null).map((user) => ({
      ...outcomeOf(user),
      credentialInfos: user.credentials,
    })),
  })
}

/** AlterUserScramCredentials 0. */
function alterCredentials(
  scram: ScramAdmin,
): KafkaHandler<AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponseInput> {
  return async ({ deletions, upsertions }) => ({
    results: (await scram.alter(deletions, upsertions)).map(outcomeOf),
  })
}

function outcomeOf({ user, refusal }: UserOutcome): {
  readonly user: string
  readonly errorCode: number
  readonly errorMessage: string | null
} {
  return { user, errorCode: codeOf(refusal?.error ?? null), errorMessage: refusal?.message ?? null }
}
