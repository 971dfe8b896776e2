import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { uuidFromString } from '../../../src/base/ids.ts'
import { decodeMessage, encodeMessageWhole } from '../../../src/protocol/kafka/compile.ts'
import { type Field, type Fields, hasVersion } from '../../../src/protocol/kafka/schema.ts'
import { defaultValue } from './arbitrary-message.ts'
import { storedMessages, wireMessages } from './declared-messages.ts'

type Json = string | number | boolean | null | Json[] | { [name: string]: Json }

const schemas = new Map([...wireMessages, ...storedMessages].map((schema) => [schema.name, schema]))

/** Bytes that Apache Kafka wrote, and what it read in them (test/interop/print-kafka-bytes.ts). */
const samples = readFileSync('test/golden/kafka-bytes.txt', 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [, name = '', version = '', hex = '', json = ''] = /^(\w+) (\d+) ([0-9a-f]*) (.*)$/.exec(line) ?? []
    return { name, version: Number(version), hex, json }
  })

describe('bytes that Apache Kafka wrote', () => {
  it('are there for every message', () => {
    expect(new Set(samples.map(({ name }) => name))).toEqual(new Set(schemas.keys()))
  })

  it.each(samples)('$name $version: mean to us what they mean to Kafka, and are written by us the same', (sample) => {
    const schema = schemas.get(sample.name)
    if (schema === undefined) throw new Error(`${sample.name} is not declared`)
    const bytes = new Uint8Array(Buffer.from(sample.hex, 'hex'))
    const { value, end } = decodeMessage(schema, sample.version, bytes)
    expect(end).toBe(bytes.length)
    expect(value).toEqual(
      fromJson(schema.fields, exactIntegers(sample.json) as { [name: string]: Json }, sample.version),
    )
    expect(Buffer.from(encodeMessageWhole(schema, sample.version, value)).toString('hex')).toBe(sample.hex)
  })
})

/** Integers beyond 2^53 become strings. */
function exactIntegers(json: string): Json {
  return JSON.parse(json, (_key, value: Json, context?: { source?: string }) => {
    const source = context?.source ?? ''
    const isLarge = typeof value === 'number' && /^-?\d+$/.test(source) && !Number.isSafeInteger(value)
    return isLarge ? source : value
  }) as Json
}

/** Kafka's JSON as a value of ours. It leaves out tagged fields at their default, and tells records by their size alone. */
function fromJson(fields: Fields, json: { [name: string]: Json }, version: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => {
      if (!hasVersion(field.versions, version)) return [name, defaultValue(field)]
      if (field.wire === 'records') {
        const size = json[`${name}SizeInBytes`]
        return [name, size === undefined ? null : expect.objectContaining({ length: size })]
      }
      const found = json[name]
      if (found === undefined) {
        if (field.tag === null) throw new Error(`Kafka's JSON has no ${name}`)
        return [name, defaultValue(field)]
      }
      return [name, valueOf(field, found, version)]
    }),
  )
}

function valueOf(field: Field, json: Json, version: number): unknown {
  if (json === null) return null
  if (field.wire === 'struct') return fromJson(field.fields ?? {}, json as { [name: string]: Json }, version)
  if (field.wire === 'bytes') return new Uint8Array(Buffer.from(json as string, 'base64'))
  if (field.wire === 'bigint64') return BigInt(json as string | number)
  if (field.wire === 'uuid') return uuid(json as string)
  if (field.wire !== 'array') return json
  const list = json as Json[]
  if (field.element === 'struct')
    return list.map((each) => fromJson(field.fields ?? {}, each as { [name: string]: Json }, version))
  return field.element === 'uuid' ? list.map((each) => uuid(each as string)) : list
}

function uuid(text: string): string {
  return Buffer.from(uuidFromString(text)).toString('base64url')
}
