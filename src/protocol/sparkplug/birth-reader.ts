/** From the bytes of a birth to its names. */
import type { BirthNames, KnownMetric } from './birth-names.ts'
import { readMetric, readPayload, readTemplate } from './metric-fields.ts'
import { depthMax, PayloadFault, type Sliced, type Span, WireFields } from './wire-fields.ts'

/** Of an entry in both maps, beside the characters of its name. */
const entryBytes = 200
/** Of two maps. */
const tableBytes = 400

/** The names of a birth. Throws PayloadFault, or what the library throws on bytes that are no protobuf. */
export function readBirthNames(bytes: Uint8Array): Sliced<BirthNames> {
  const fields = new WireFields(bytes)
  return namesOf(fields, readPayload(fields).metrics, 1)
}

function* namesOf(fields: WireFields, metrics: readonly Span[], depth: number): Sliced<BirthNames> {
  if (depth > depthMax) throw new PayloadFault('too_large', `its Templates are nested deeper than ${depthMax}`)
  const byAlias = new Map<number | bigint, KnownMetric>()
  const byName = new Map<string, KnownMetric>()
  let sizeBytes = tableBytes
  for (const span of metrics) {
    if (fields.spend(1)) yield
    const { name, alias, dataType, part } = readMetric(fields, span)
    const inner =
      part?.kind === 'template' ? yield* namesOf(fields, readTemplate(fields, part.span).metrics, depth + 1) : null
    // A Template without members need not be remembered as one.
    const members = inner === null || inner.byName.size + inner.byAlias.size === 0 ? null : inner
    if (name === null) continue
    const known = { nameJson: JSON.stringify(name), dataType, members }
    byName.set(name, known)
    if (alias !== null) byAlias.set(alias, known)
    sizeBytes += entryBytes + 2 * name.length + (members?.sizeBytes ?? 0)
  }
  return { byAlias, byName, sizeBytes }
}
