/** Our codecs beside Apache Kafka's own: the same declarations, the same bytes. */
import { strict as assert } from 'node:assert'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { clientApiByKey } from '../../../src/protocol/kafka/apis.ts'
import { encodeMessageWhole } from '../../../src/protocol/kafka/compile.ts'
import { encodeRequest } from '../../../src/protocol/kafka/header.ts'
import type { MessageSchema } from '../../../src/protocol/kafka/schema.ts'
import { arbitraryMessage } from '../../protocol/kafka/arbitrary-message.ts'
import { storedMessages, wireMessages } from '../../protocol/kafka/declared-messages.ts'
import { apacheKafkaLibs, apacheKafkaMissing } from '../apache-kafka.ts'
import { type InteropCase, lines, output } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { compareLayouts } from '../kafka-layouts.ts'

const codecProgram = fileURLToPath(new URL('../programs/KafkaCodec.java', import.meta.url))
const samplesPerVersion = 20
/** Any number: it makes a run repeatable. */
const seed = 20_260_101

/** Asks Apache Kafka to read and write again; one answer a question (see KafkaCodec.java). */
export async function askKafkaCodec(questions: readonly string[]): Promise<string[]> {
  const stdin = `${questions.join('\n')}\n`
  return lines(await output('java', ['-cp', `${apacheKafkaLibs()}/*`, codecProgram], { stdin, timeoutMs: 120_000 }))
}

function codecMissing(): string | null {
  return apacheKafkaMissing() ?? hasPrograms('javac')
}

export const kafkaLayouts: InteropCase = {
  name: "every message we declare is Kafka's, field by field, in every version",
  missing: () => apacheKafkaMissing(),
  run: async () => {
    const { compared, differences } = compareLayouts(apacheKafkaLibs())
    assert.deepEqual(differences, [])
    assert.ok(compared > 400, `only ${compared} message-versions were compared`)
    return Promise.resolve()
  },
}

export const kafkaCodec: InteropCase = {
  name: 'Apache Kafka reads what we write, and writes the same bytes, for random values of every message and version',
  missing: codecMissing,
  async run() {
    const questions = [...wireMessages, ...storedMessages].flatMap((schema) =>
      versionsOf(schema).flatMap(samplesOf(schema)),
    )
    const answers = await askKafkaCodec(questions)
    assert.equal(answers.length, questions.length)
    const wrong = questions.filter((question, index) => question.split(' ')[2] !== answers[index]?.split(' ')[0])
    assert.deepEqual(
      wrong.slice(0, 3).map((question) => [question, answers[questions.indexOf(question)]]),
      [],
    )
  },
}

export const kafkaHeaders: InteropCase = {
  name: 'Apache Kafka reads the header of every request we send, in every version',
  missing: codecMissing,
  async run() {
    const expected: string[] = []
    const questions = [...clientApiByKey.values()].flatMap((api) =>
      versionsOf(api.request).map((version) => {
        const frame = Buffer.concat(encodeRequest(api, version, 77, 'häuschen', {})).subarray(4)
        const bodyBytes = encodeMessageWhole(api.request, version, {}).length
        expected.push(`${api.key} ${version} 77 häuschen ${bodyBytes}`)
        return `frame 0 ${frame.toString('hex')}`
      }),
    )
    const answers = await askKafkaCodec(questions)
    // Kafka itself refuses to read Produce 0 to 2, which it announces.
    const isOld = (line: string) => /^0 [012] /.test(line)
    assert.deepEqual(
      answers.filter((_, index) => !isOld(expected[index] ?? '')),
      expected.filter((line) => !isOld(line)),
    )
  },
}

/** The versions that Kafka can read and write. */
export function versionsOf(schema: MessageSchema): number[] {
  // Kafka's table of Produce begins at version 3.
  const first = schema.name.startsWith('Produce') && schema.apiKey === 0 ? 3 : schema.versions.first
  return Array.from({ length: schema.versions.last - first + 1 }, (_, index) => first + index)
}

/** Keys must differ, or Kafka, which keeps some lists as maps, drops elements. */
function samplesOf(schema: MessageSchema): (version: number) => string[] {
  return (version) =>
    fc
      .sample(arbitraryMessage(schema, version, { charactersMin: 6 }), { numRuns: samplesPerVersion, seed })
      .map((value) => {
        const bytes = Buffer.from(encodeMessageWhole(schema, version, value))
        return `${schema.name} ${version} ${bytes.toString('hex')}`
      })
}
