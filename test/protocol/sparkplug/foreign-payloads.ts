/** Payloads by foreign encoders, and the codec run to its end. */
import { readFileSync } from 'node:fs'
import type { BirthNames } from '../../../src/protocol/sparkplug/birth-names.ts'
import { type DecodingFault, sparkplugCodec } from '../../../src/protocol/sparkplug/payload-codec.ts'
import type { KnownNames, PayloadJson, SparkplugSource } from '../../../src/protocol/sparkplug/payload-json.ts'
import type { Sliced } from '../../../src/protocol/sparkplug/wire-fields.ts'

const file = new URL('../../golden/sparkplug-payloads.txt', import.meta.url)

const payloads = new Map(
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => /^[a-z]/.test(line))
    .map((line) => {
      const [name = '', hex = ''] = line.split(' ')
      return [name, Buffer.from(hex, 'hex')] as const
    }),
)

export const foreignPayloads: ReadonlyMap<string, Buffer> = payloads

export function foreignPayload(name: string): Buffer {
  const payload = payloads.get(name)
  if (payload === undefined) throw new Error(`no payload ${name}`)
  return payload
}

export function finished<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}

export const source: SparkplugSource = { groupId: 'g', messageType: 'NDATA', edgeNodeId: 'e', deviceId: null }
export const noNames: KnownNames = { own: null, node: null }

export function jsonOf(payload: Uint8Array, names: KnownNames = noNames): PayloadJson | DecodingFault {
  return finished(sparkplugCodec.jsonOf(payload, source, names))
}

/** The JSON text; throws where there is none. */
export function textOf(payload: Uint8Array, names: KnownNames = noNames): string {
  const made = jsonOf(payload, names)
  if ('reason' in made) throw new Error(made.reason)
  return made.json
}

export function namesOf(birth: Uint8Array): BirthNames {
  const names = finished(sparkplugCodec.namesOf(birth))
  if ('reason' in names) throw new Error(names.reason)
  return names
}

/** What the reasons of a refusal begin with: anything else would be a fault of ours. */
export const knownReasons =
  /^(?:it is no protobuf \((?:invalid varint|illegal tag|premature EOF|cant skip|invalid end group|Offset is outside|index out of range|maximum recursion)|a (?:packed )?field ends|it has (?:a group|more than)|its (?:Templates|property sets) are nested|it makes more than)/
