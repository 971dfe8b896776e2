/**
 * Prints test/golden/kafka-bytes.txt: one value for each message and layout as Apache Kafka writes and reads it, `NAME VERSION HEX JSON`.
 * Needs the jars (see apache-kafka.ts) and a JDK.
 */
import fc from 'fast-check'
import { encodeMessageWhole } from '../../src/protocol/kafka/compile.ts'
import { arbitraryMessage } from '../protocol/kafka/arbitrary-message.ts'
import { storedMessages, wireMessages } from '../protocol/kafka/declared-messages.ts'
import { layoutOf } from '../../src/protocol/kafka/layout.ts'
import { askKafkaCodec, versionsOf } from './cases/kafka-codec.ts'

const options = { charactersMin: 6, charactersMax: 9, elementsMax: 2 }

const questions = [...wireMessages, ...storedMessages].flatMap((schema) =>
  versionsOf(schema)
    .filter(
      (version, index, all) => index === all.length - 1 || layoutOf(schema, version) !== layoutOf(schema, version + 1),
    )
    .map((version) => {
      // The largest of some values: most of the fields are in it.
      const values = fc.sample(arbitraryMessage(schema, version, options), { numRuns: 12, seed: version + 1 })
      const encoded = values.map((value) => Buffer.from(encodeMessageWhole(schema, version, value)).toString('hex'))
      const largest = encoded.filter((hex) => hex.length < 600).sort((a, b) => b.length - a.length)[0] ?? encoded[0]
      return `${schema.name} ${version} ${largest}`
    }),
)
const answers = await askKafkaCodec(questions)
for (const [index, question] of questions.entries()) {
  const [name, version] = question.split(' ')
  console.log(`${name} ${version} ${answers[index]}`)
}
