/** `headwater users`: SCRAM credentials, as a Kafka client. A password never leaves this process: it is salted and hashed here. */
import { ApplianceError } from '../../base/errors.ts'
import { alterUserScramCredentialsApi, describeUserScramCredentialsApi } from '../../protocol/kafka/apis.ts'
import { cliErrors } from './cli-errors.ts'
import { type KafkaClient, refuseError } from './kafka-client.ts'
import { formatTable, printResult } from './output.ts'

/** Kafka's names and numbers of the mechanisms. */
const mechanisms = {
  'SCRAM-SHA-256': { code: 1, digest: 'sha256' },
  'SCRAM-SHA-512': { code: 2, digest: 'sha512' },
} as const
export type UserMechanism = keyof typeof mechanisms
export const userMechanisms = Object.keys(mechanisms) as readonly UserMechanism[]

const saltBytes = 20
const passwordLengthMin = 8

export async function listUsers(client: KafkaClient, json: boolean): Promise<void> {
  const response = await client.ask(describeUserScramCredentialsApi, { users: null })
  refuseError('DescribeUserScramCredentials', response.errorCode, response.errorMessage)
  const users = response.results.flatMap(({ user, credentialInfos }) =>
    credentialInfos.map(({ mechanism, iterations }) => ({ user, mechanism: nameOf(mechanism), iterations })),
  )
  users.sort((one, other) => (one.user < other.user ? -1 : 1))
  printResult(users, json, () =>
    users.length === 0
      ? 'no users'
      : formatTable(
          ['USER', 'MECHANISM', 'ITERATIONS'],
          users.map(({ user, mechanism, iterations }) => [user, mechanism, iterations]),
        ),
  )
}

/** Sets the password of a user, for one mechanism or several: all of them, or none when it is refused. */
export async function setUser(
  client: KafkaClient,
  user: string,
  options: {
    readonly password: string
    readonly mechanism: UserMechanism | readonly UserMechanism[]
    readonly iterations: number
  },
): Promise<void> {
  const { password, mechanism, iterations } = options
  if (password.length < passwordLengthMin) {
    const detail = `it has ${password.length} characters, at least ${passwordLengthMin} are needed`
    throw new ApplianceError(cliErrors.valueInvalid, { name: 'the password', detail })
  }
  const upsertions = [mechanism].flat().map(async (name) => {
    const { code, digest } = mechanisms[name]
    const salt = client.ports.entropy.bytes(saltBytes)
    const secret = { password: Buffer.from(password), salt, iterations, digest }
    const saltedPassword = await client.ports.compute.deriveKey(secret)
    return { name: user, mechanism: code, iterations, salt, saltedPassword }
  })
  const response = await client.ask(alterUserScramCredentialsApi, { upsertions: await Promise.all(upsertions) })
  const result = response.results[0]
  refuseError('AlterUserScramCredentials', result?.errorCode ?? 0, result?.errorMessage)
}

/** Removes what a user has: nobody authenticates as that user any more. */
export async function removeUser(client: KafkaClient, user: string): Promise<void> {
  const described = await client.ask(describeUserScramCredentialsApi, { users: [{ name: user }] })
  refuseError('DescribeUserScramCredentials', described.errorCode, described.errorMessage)
  const found = described.results[0]
  refuseError('DescribeUserScramCredentials', found?.errorCode ?? 0, found?.errorMessage)
  const deletions = (found?.credentialInfos ?? []).map(({ mechanism }) => ({ name: user, mechanism }))
  const response = await client.ask(alterUserScramCredentialsApi, { deletions })
  for (const { errorCode, errorMessage } of response.results) {
    refuseError('AlterUserScramCredentials', errorCode, errorMessage)
  }
}

function nameOf(code: number): string {
  return userMechanisms.find((name) => mechanisms[name].code === code) ?? String(code)
}
