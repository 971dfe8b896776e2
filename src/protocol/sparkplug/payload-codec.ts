/** What the room offers, in slices of work. Nothing here throws, whatever the bytes are. */
import type { BirthNames } from './birth-names.ts'
import { readBirthNames } from './birth-reader.ts'
import { type KnownNames, type PayloadJson, payloadJson, type SparkplugSource } from './payload-json.ts'
import { PayloadFault, type Sliced } from './wire-fields.ts'

export interface DecodingFault {
  readonly kind: 'malformed' | 'too_large'
  /** For people: "it has ...". */
  readonly reason: string
}

export interface SparkplugCodec {
  /** The names that a birth gives. */
  namesOf(birth: Uint8Array): Sliced<BirthNames | DecodingFault>
  /** The payload as JSON text. */
  jsonOf(payload: Uint8Array, source: SparkplugSource, names: KnownNames): Sliced<PayloadJson | DecodingFault>
}

export const sparkplugCodec: SparkplugCodec = {
  namesOf: (birth) => judged(() => readBirthNames(birth)),
  jsonOf: (payload, source, names) => judged(() => payloadJson(payload, source, names)),
}

function* judged<T>(work: () => Sliced<T>): Sliced<T | DecodingFault> {
  try {
    return yield* work()
  } catch (error) {
    if (error instanceof PayloadFault) return { kind: error.kind, reason: error.message }
    // The library throws an Error on a false tag or length, and a RangeError behind the end.
    const reason = error instanceof Error ? error.message : String(error)
    return { kind: 'malformed', reason: `it is no protobuf (${reason})` }
  }
}
