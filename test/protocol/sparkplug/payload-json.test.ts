/** Sparkplug B to JSON, on payloads that Eclipse Tahu, pysparkplug and sparkplug-payload have made (test/golden/sparkplug-payloads.txt). */
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { describe, expect, it } from 'vitest'
import { foreignPayload, jsonOf, namesOf, textOf } from './foreign-payloads.ts'

/** `name: text` of the values of a payload's metrics. Text: a number beyond 2^53 must be exact. */
function valuesOf(json: string): string[] {
  const list = json.slice(json.indexOf('"metrics":[') + 11)
  return list.split(/(?<=\}),(?=\{"(?:name|alias)")/).map((metric) => {
    const name = /^\{"name":"([^"]*)"/.exec(metric)?.[1] ?? `alias ${/"alias":(\d+)/.exec(metric)?.[1]}`
    return `${name}: ${metric.slice(metric.lastIndexOf('"value":') + 8).replace(/\}(?:\]\})?$/, '')}`
  })
}

const when = 1_700_000_000_000

describe('a payload becomes JSON', () => {
  it('with every basic type at its bounds, exact beyond 2^53', () => {
    const values = valuesOf(textOf(foreignPayload('tahu-nbirth')))
    expect(values.slice(3)).toEqual([
      'Int8: -128',
      'Int16: -32768',
      'Int32: -12',
      'Int64: -9223372036854775808',
      'UInt8: 255',
      'UInt16: 65535',
      'UInt32: 4294967295',
      'UInt64: 18446744073709551615',
      'Float: 0.1',
      'Double: 0.1',
      'Boolean: true',
      'String: "Grüße \\"1\\"\\n"',
      `DateTime: ${when}`,
      'Text: "text"',
      'UUID: "123e4567-e89b-12d3-a456-426614174000"',
    ])
  })

  it('with every array type', () => {
    const values = valuesOf(textOf(foreignPayload('tahu-dbirth')))
    expect(values.slice(-13)).toEqual([
      'Int8Array: [-23,123]',
      'Int16Array: [-30000,30000]',
      'Int32Array: [-1,315338746]',
      'Int64Array: [-4270929666821191986,1]',
      'UInt8Array: [23,250]',
      'UInt16Array: [30,52360]',
      'UInt32Array: [52,3293969225]',
      'UInt64Array: [52,18446744073709551615]',
      'FloatArray: [1.23,89.341]',
      'DoubleArray: [12.354213,1022.9123213]',
      'BooleanArray: [false,false,true,true,false,true,false,false,true,true,false,true]',
      'StringArray: ["ABC","hello"]',
      `DateTimeArray: [1256102875335,${when}]`,
    ])
  })

  it('with bytes, a file, a DataSet, a Template, properties, flags and null', () => {
    const { metrics } = JSON.parse(textOf(foreignPayload('tahu-dbirth'))) as { metrics: Record<string, unknown>[] }
    expect(metrics.slice(0, 6)).toEqual([
      { name: 'Bytes', alias: 20, timestamp: when, dataType: 'Bytes', value: 'AP8=' },
      {
        ...{ name: 'File', alias: 21, timestamp: when, dataType: 'File', value: 'AQID' },
        metadata: { size: 3, fileName: 'a.bin', fileType: 'bin', md5: '5289df73' },
      },
      {
        ...{ name: 'DataSet', alias: 22, timestamp: when, dataType: 'DataSet' },
        value: { columns: ['n', 'x', 's'], types: ['Int32', 'Float', 'String'], rows: [[-1, 1.5, 'one']] },
      },
      {
        ...{ name: 'Left motor', alias: 23, timestamp: when, dataType: 'Template' },
        value: {
          ...{ templateRef: 'Motor', isDefinition: false },
          parameters: [{ name: 'Maker', dataType: 'String', value: 'us' }],
          metrics: [{ name: 'Torque', timestamp: when, dataType: 'Int32', value: -5 }],
        },
      },
      {
        ...{ name: 'Level', alias: 24, timestamp: when, dataType: 'Double', value: 2.5 },
        ...{ isHistorical: true, isTransient: true },
        properties: {
          engUnit: { dataType: 'String', value: 'mm' },
          Quality: { dataType: 'Int32', value: 192 },
          range: { dataType: 'PropertySet', value: { low: { dataType: 'Int32', value: -7 } } },
        },
      },
      { name: 'Nothing', alias: 25, timestamp: when, dataType: 'Int16', isNull: true, value: null },
    ])
  })

  it('with who speaks, seq, bdSeq, uuid and body', () => {
    expect(textOf(foreignPayload('tahu-nbirth'))).toMatch(
      /^\{"groupId":"g","messageType":"NDATA","edgeNodeId":"e","timestamp":1700000000000,"seq":0,"bdSeq":7,"metrics":\[/,
    )
    expect(JSON.parse(textOf(foreignPayload('tahu-ndeath')))).toMatchObject({ timestamp: when, bdSeq: 7 })
    expect(JSON.parse(textOf(foreignPayload('npm-dbirth')))).toMatchObject({
      ...{ seq: 1, uuid: 'schema-1', body: 'AQL/' },
      metrics: [
        { name: 'i8', value: -5 },
        { name: 'i64', value: -5 },
        { name: 'u32', value: 4_294_967_295 },
        {
          name: 'set',
          value: {
            rows: [
              [-1, 'x'],
              [2, 'y'],
            ],
          },
        },
        { properties: { list: { dataType: 'PropertySetList', value: [{ b: { dataType: 'Double', value: 1.5 } }] } } },
        { name: 'none', isNull: true, value: null },
      ],
    })
  })
})

describe('names and data types that a message leaves out', () => {
  it('are those of the birth: by alias, or by name', () => {
    const own = namesOf(foreignPayload('tahu-nbirth'))
    const made = jsonOf(foreignPayload('tahu-ndata'), { own, node: own })
    expect('json' in made && valuesOf(made.json)).toEqual([
      'Int8: -1',
      'Int32: -12',
      'Int64: -9007199254740993',
      'UInt64: 18446744073709551615',
      'DateTime: -1000',
      'alias 99: 4294967295',
    ])
    expect(made).toMatchObject({ unnamed: 1 })
    const python = namesOf(foreignPayload('python-nbirth'))
    const values = valuesOf(textOf(foreignPayload('python-ndata'), { own: python, node: python }))
    expect(values).toEqual(['i8: -3', 'i16: -1', 'i32: -12', 'i32s: [-7]'])
  })

  it('are those of the definition for a member of a Template', () => {
    const node = namesOf(foreignPayload('tahu-nbirth'))
    const own = namesOf(foreignPayload('tahu-dbirth'))
    expect(textOf(foreignPayload('tahu-ddata'), { own, node })).toContain('"dataType":"Int32","value":-6')
    // A definition alone is enough: the instance was never in a birth.
    const unborn = { own: null, node }
    expect(textOf(foreignPayload('tahu-ddata'), unborn)).toContain(
      '"name":"Torque","timestamp":1700000000000,"dataType":"Int32","value":-6',
    )
  })

  it('are missing where no birth is known: values stand as on the wire', () => {
    const made = jsonOf(foreignPayload('python-ndata'))
    expect(made).toMatchObject({ unnamed: 3 })
    expect('json' in made && valuesOf(made.json)).toEqual([
      'alias 1: 253',
      'alias 2: 65535',
      'i32: 4294967284',
      'alias 8: "+f///w=="',
    ])
  })
})

describe('what stands in no specification', () => {
  /** A payload with one metric, written by the library's own writer. */
  const payload = (write: (metric: BinaryWriter) => void): Uint8Array => {
    const writer = new BinaryWriter()
    writer.tag(2, 2).fork()
    write(writer)
    writer.join()
    return writer.finish()
  }
  const int = (type: number, value: number): Uint8Array =>
    payload((m) => m.tag(4, 0).uint32(type).tag(10, 0).uint32(value))

  it('an integer that its type cannot hold is written as it stands on the wire', () => {
    const values = [int(1, 0xff), int(1, 0xffff_ff80), int(1, 300), int(5, 300), int(5, 0xffff_ffc8), int(6, 65_536)]
    expect(values.map((each) => valuesOf(textOf(each))[0]?.split(': ')[1])).toEqual([
      '-1',
      '-128',
      '300',
      '300',
      '200',
      '65536',
    ])
  })

  it('a value in another field than its type asks for is written as what it is', () => {
    const wide = payload((m) => m.tag(4, 0).uint32(7).tag(11, 0).uint64(4_294_967_295n))
    const text = payload((m) => m.tag(4, 0).uint32(3).tag(15, 2).string('x'))
    expect([wide, text].map((each) => JSON.parse(textOf(each)).metrics[0].value)).toEqual([4_294_967_295, 'x'])
  })

  it('bytes that are no array of their type are base64', () => {
    const array = (type: number, ...bytes: number[]): unknown =>
      JSON.parse(textOf(payload((m) => m.tag(4, 0).uint32(type).tag(16, 2).bytes(Uint8Array.from(bytes))))).metrics[0]
        .value
    expect(array(24, 1, 2, 3)).toBe('AQID')
    expect(array(32, 9, 0, 0, 0, 1)).toBe('CQAAAAE=')
    expect(array(33, 65)).toBe('QQ==')
    expect([array(24), array(32, 0, 0, 0, 0), array(33)]).toEqual([[], [], []])
  })

  it('numbers that JSON has not are strings; a float is a short decimal that reads back as it', () => {
    const float = (value: number): unknown =>
      valuesOf(textOf(payload((m) => m.tag(4, 0).uint32(9).tag(12, 5).float(value))))[0]?.split(': ')[1]
    expect([Number.NaN, Number.POSITIVE_INFINITY, -0, 16_777_216, 3.4028234663852886e38, 1e-45].map(float)).toEqual([
      '"NaN"',
      '"Infinity"',
      '-0',
      '16777216',
      '3.4028234663852886e+38',
      '1.4013e-45',
    ])
  })

  it('fields in any order, packed types, extensions and a type that we do not know', () => {
    const types = new BinaryWriter().uint32(3).uint32(12).finish()
    const row = new BinaryWriter().tag(1, 2).fork().tag(1, 0).uint32(0xffff_ffff).join().finish()
    const odd = payload((m) => {
      m.tag(17, 2).fork().tag(4, 2).bytes(row).tag(3, 2).bytes(types).tag(2, 2).string('a').tag(9, 0).uint32(1).join()
      m.tag(4, 0).uint32(77).tag(1, 2).string('later').tag(100, 2).string('extension')
    })
    expect(JSON.parse(textOf(odd)).metrics).toEqual([
      { name: 'later', value: { columns: ['a'], types: ['Int32', 'String'], rows: [[-1]] } },
    ])
  })
})
