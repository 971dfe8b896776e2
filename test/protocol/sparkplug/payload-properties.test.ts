/** What holds for every payload, well made or not. */
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sparkplugCodec } from '../../../src/protocol/sparkplug/payload-codec.ts'
import { depthMax, itemsMax, jsonLengthMax } from '../../../src/protocol/sparkplug/wire-fields.ts'
import { finished, foreignPayloads, jsonOf, knownReasons, namesOf, noNames, source } from './foreign-payloads.ts'

interface Sample {
  readonly type: number
  readonly value: bigint | number | boolean | string
  /** As JSON text. */
  readonly text: string
}

const integer = (type: number, min: bigint, max: bigint): fc.Arbitrary<Sample> =>
  fc.bigInt({ min, max }).map((value) => ({ type, value, text: String(value) }))

const samples: fc.Arbitrary<Sample> = fc.oneof(
  integer(1, -128n, 127n),
  integer(2, -32_768n, 32_767n),
  integer(3, -(2n ** 31n), 2n ** 31n - 1n),
  integer(4, -(2n ** 63n), 2n ** 63n - 1n),
  integer(5, 0n, 255n),
  integer(6, 0n, 65_535n),
  integer(7, 0n, 2n ** 32n - 1n),
  integer(8, 0n, 2n ** 64n - 1n),
  integer(13, -(2n ** 63n), 2n ** 63n - 1n),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => ({
    ...{ type: 10, value },
    text: Object.is(value, -0) ? '-0' : JSON.stringify(value),
  })),
  fc.boolean().map((value) => ({ type: 11, value, text: String(value) })),
  fc.string({ unit: 'binary' }).map((value) => ({ type: 12, value, text: JSON.stringify(value) })),
)

const wide = new Set([4, 8, 13])

/** As the specification says where a value stands (6.4.17); 32-bit integers as two's complement of the field's width. */
function writeValue(writer: BinaryWriter, { type, value }: Sample): void {
  if (typeof value === 'boolean') writer.tag(14, 0).bool(value)
  else if (typeof value === 'string') writer.tag(15, 2).string(value)
  else if (typeof value === 'number') writer.tag(13, 1).double(value)
  else if (wide.has(type)) writer.tag(11, 0).uint64(BigInt.asUintN(64, value))
  else writer.tag(10, 0).uint32(Number(BigInt.asUintN(32, value)))
}

function payloadOf(list: readonly Sample[], how: 'birth' | 'data'): Uint8Array {
  const writer = new BinaryWriter().tag(1, 0).uint64(1n)
  for (const [index, sample] of list.entries()) {
    writer.tag(2, 2).fork()
    if (how === 'birth') writer.tag(1, 2).string(`m${index}`)
    writer.tag(2, 0).uint64(BigInt(index))
    if (how === 'birth') writer.tag(4, 0).uint32(sample.type)
    writeValue(writer, sample)
    writer.join()
  }
  return writer.finish()
}

const typeNames = new Map<number, string>([
  ...[[1, 'Int8'] as const, [2, 'Int16'] as const, [3, 'Int32'] as const, [4, 'Int64'] as const, [5, 'UInt8'] as const],
  ...[[6, 'UInt16'] as const, [7, 'UInt32'] as const, [8, 'UInt64'] as const, [10, 'Double'] as const],
  ...[[11, 'Boolean'] as const, [12, 'String'] as const, [13, 'DateTime'] as const],
])

describe('every well-made payload', () => {
  it('becomes the values that were written, whether it says names and types itself or its birth does', () => {
    fc.assert(
      fc.property(fc.array(samples, { maxLength: 12 }), (list) => {
        const birth = payloadOf(list, 'birth')
        const own = namesOf(birth)
        const metrics = list.map(
          ({ type, text }, index) =>
            `{"name":"m${index}","alias":${index},"dataType":"${typeNames.get(type)}","value":${text}}`,
        )
        const text = `{"groupId":"g","messageType":"NDATA","edgeNodeId":"e","timestamp":1,"metrics":[${metrics.join(',')}]}`
        expect(jsonOf(birth)).toEqual({ json: text, unnamed: 0 })
        expect(jsonOf(payloadOf(list, 'data'), { own, node: own })).toEqual({ json: text, unnamed: 0 })
      }),
      { numRuns: 300 },
    )
  })
})

describe('every payload, however broken', () => {
  it('is decoded or refused with a reason: mutants of foreign payloads', () => {
    const originals = [...foreignPayloads.values()]
    const edit = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      byte: fc.integer({ min: 0, max: 255 }),
      kind: fc.constantFrom('set', 'insert', 'cut', 'double'),
    })
    fc.assert(
      fc.property(fc.constantFrom(...originals), fc.array(edit, { minLength: 1, maxLength: 6 }), (original, edits) => {
        let bytes = Buffer.from(original)
        for (const { at, byte, kind } of edits) {
          const place = Math.floor(at * bytes.length)
          if (kind === 'set') bytes[place] = byte
          else if (kind === 'cut') bytes = bytes.subarray(0, place)
          else {
            const more = kind === 'insert' ? Buffer.of(byte) : bytes.subarray(place, place + byte)
            bytes = Buffer.concat([bytes.subarray(0, place), more, bytes.subarray(place)])
          }
        }
        const names = finished(sparkplugCodec.namesOf(bytes))
        const made = jsonOf(bytes, 'reason' in names ? noNames : { own: names, node: names })
        if ('reason' in made) expect(made.reason).toMatch(knownReasons)
        else {
          JSON.parse(made.json)
          expect('reason' in names).toBe(false)
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('is decoded or refused with a reason: bytes of chance', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const made = jsonOf(bytes)
        if ('reason' in made) expect(made.reason).toMatch(knownReasons)
        else JSON.parse(made.json)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('what a payload may make of itself has bounds', () => {
  const nested = (depth: number, [outer, inner]: readonly [number, number]): Uint8Array => {
    let bytes: Uint8Array = new Uint8Array(0)
    for (let level = 0; level < depth; level += 1) {
      const part = new BinaryWriter().tag(inner, 2).bytes(bytes).finish()
      bytes = new BinaryWriter().tag(outer, 2).bytes(part).finish()
    }
    return bytes
  }
  const metric = (bytes: Uint8Array): Uint8Array => new BinaryWriter().tag(2, 2).bytes(bytes).finish()
  const reasonOf = (payload: Uint8Array): unknown => {
    const made = jsonOf(payload)
    return 'reason' in made ? [made.kind, made.reason] : made.json.length
  }

  it('Templates in Templates', () => {
    expect(reasonOf(metric(nested(depthMax - 1, [18, 2])))).toBeGreaterThan(0)
    const deep = metric(nested(depthMax, [18, 2]))
    const reason = ['too_large', `its Templates are nested deeper than ${depthMax}`]
    expect(reasonOf(deep)).toEqual(reason)
    expect(finished(sparkplugCodec.namesOf(deep))).toEqual({ kind: reason[0], reason: reason[1] })
    expect(reasonOf(metric(nested(1000, [18, 2])))).toEqual(reason)
  })

  it('property sets in property sets', () => {
    const sets = (depth: number): Uint8Array => {
      let set: Uint8Array = new Uint8Array(0)
      for (let level = 0; level < depth; level += 1) {
        const value = new BinaryWriter().tag(9, 2).bytes(set).finish()
        set = new BinaryWriter().tag(1, 2).string('k').tag(2, 2).bytes(value).finish()
      }
      return metric(new BinaryWriter().tag(9, 2).bytes(set).finish())
    }
    expect(reasonOf(sets(depthMax - 1))).toBeGreaterThan(0)
    expect(reasonOf(sets(depthMax))).toEqual(['too_large', `its property sets are nested deeper than ${depthMax}`])
  })

  it('metrics, rows and properties: refused before anything is made of them', () => {
    const reason = ['too_large', `it has more than ${itemsMax} metrics, properties and elements`]
    const empty = (count: number): Uint8Array => Buffer.alloc(count * 2, Buffer.of(18, 0))
    expect(reasonOf(empty(itemsMax))).toBeGreaterThan(0)
    expect(reasonOf(empty(itemsMax + 1))).toEqual(reason)
    const rows = Buffer.alloc((itemsMax + 1) * 2, Buffer.of(34, 0))
    expect(reasonOf(metric(new BinaryWriter().tag(17, 2).bytes(rows).finish()))).toEqual(reason)
    const types = Buffer.alloc(itemsMax + 1, 3)
    const dataset = new BinaryWriter().tag(3, 2).bytes(types).finish()
    expect(reasonOf(metric(new BinaryWriter().tag(17, 2).bytes(dataset).finish()))).toEqual(reason)
  })

  it('characters of JSON, of which an array and an escape make many', () => {
    const reason = ['too_large', `it makes more than ${jsonLengthMax} characters of JSON`]
    const bits = Buffer.alloc(65_536 + 4)
    bits.writeUInt32LE(65_536 * 8)
    const array = new BinaryWriter().tag(4, 0).uint32(32).tag(16, 2).bytes(bits).finish()
    expect(reasonOf(metric(array))).toEqual(reason)
    const text = new BinaryWriter().tag(15, 2).string('\u0001'.repeat(200_000)).finish()
    expect(reasonOf(metric(text))).toEqual(reason)
  })

  it('groups, which Sparkplug has not', () => {
    expect(reasonOf(Buffer.alloc(100_000, 0x33))).toEqual(['malformed', 'it has a group, which Sparkplug has not'])
  })

  it('a large payload is decoded in slices, and its names too', () => {
    const birth = Buffer.concat(
      Array.from({ length: 5000 }, (_each, index) =>
        metric(new BinaryWriter().tag(1, 2).string(`tag ${index}`).tag(2, 0).uint64(BigInt(index)).finish()),
      ),
    )
    const slicesOf = (work: Generator): number => {
      let slices = 1
      while (work.next().done !== true) slices += 1
      return slices
    }
    expect(slicesOf(sparkplugCodec.namesOf(birth))).toBeGreaterThan(2)
    expect(slicesOf(sparkplugCodec.jsonOf(birth, source, noNames))).toBeGreaterThan(10)
    const bytes = new BinaryWriter().tag(4, 0).uint32(30).tag(16, 2).bytes(Buffer.alloc(64_000)).finish()
    expect(slicesOf(sparkplugCodec.jsonOf(metric(bytes), source, noNames))).toBeGreaterThan(8)
  })
})
