/** JSON Schemas of routes: what they may be, what they refuse, and what clients are told. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MqttDoorOptions } from '../../../src/ingest/mqtt/mqtt-options.ts'
import { compilePayloadSchema } from '../../../src/ingest/mqtt/payload-schema.ts'
import { openPayloadSchemas } from '../../../src/ingest/mqtt/schema-files.ts'
import type { TopicRoute } from '../../../src/ingest/mqtt/topic-mapping.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

const draft07 = 'http://json-schema.org/draft-07/schema#'
const draft2020 = 'https://json-schema.org/draft/2020-12/schema'

/** Judges payloads by a schema; undefined = it fits. */
function judge(schema: unknown, payloadBytesMax = 65_536): (payload: string | Uint8Array) => string | null {
  const check = compilePayloadSchema(JSON.stringify(schema), payloadBytesMax)
  if (typeof check === 'string') throw new Error(check)
  return (payload) => {
    const bytes = typeof payload === 'string' ? Buffer.from(`xx${payload}x`) : Buffer.from([0, 0, ...payload, 0])
    return check.fault(bytes, 2, bytes.length - 1)
  }
}

const reading = {
  type: 'object',
  required: ['temp'],
  properties: {
    temp: { type: 'number', maximum: 200 },
    unit: { enum: ['C', 'F'] },
    tags: { type: 'array', items: { type: 'string', pattern: '^[a-z]+$' }, uniqueItems: true },
  },
  additionalProperties: false,
}

describe('a payload', () => {
  it.each([
    ['{"temp":1}', null],
    ['{"temp":1,"unit":"C","tags":["a","b"]}', null],
    ['{"temp":"1"}', '/temp must be number'],
    ['{"temp":1e3}', '/temp must be <= 200'],
    ['{}', "/ must have required property 'temp'"],
    ['{"temp":1,"x":2}', '/ must NOT have additional properties (x)'],
    ['{"temp":1,"tags":["a","B"]}', '/tags/1 must match pattern "^[a-z]+$"'],
    ['{"temp":1,"tags":["a","a"]}', '/tags must NOT have duplicate items (items ## 1 and 0 are identical)'],
    ['[]', '/ must be object'],
    ['{"temp":1', 'the payload is no JSON'],
    ['', 'the payload is no JSON'],
    [Uint8Array.of(0x22, 0xff, 0x22), 'the payload is no UTF-8'],
  ])('%s', (payload, fault) => {
    for (const $schema of [draft07, draft2020, undefined]) expect(judge({ $schema, ...reading })(payload)).toBe(fault)
  })

  it('is judged by the draft that the schema names', () => {
    const tuple = { type: 'array', prefixItems: [{ type: 'string' }] }
    expect(judge({ $schema: draft2020, ...tuple })('[1]')).toBe('/0 must be string')
    expect(() => judge({ $schema: draft07, ...tuple })).toThrow('prefixItems')
    expect(judge({ $schema: draft07, type: 'array', items: [{ type: 'string' }] })('[1]')).toBe('/0 must be string')
  })

  it('of more bytes than are checked is refused unread', () => {
    const check = judge({}, 10)
    expect(check('"12345678"')).toBeNull()
    expect(check('"123456789"')).toBe('the payload has 11 bytes, more than the 10 that are checked')
  })

  it('is told of in a few characters that MQTT can carry, whatever its names are', () => {
    const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 400 })
    const check = judge({ additionalProperties: { type: 'null' } })
    fc.assert(
      fc.property(name, (key) => {
        const fault = check(JSON.stringify({ [key]: 1 })) ?? ''
        expect(fault).toMatch(/^\/|^the payload/)
        expect(fault.length).toBeLessThan(170)
        expect(/\p{Cc}/u.test(fault) || !fault.isWellFormed()).toBe(false)
      }),
      { examples: [['\ud800'], ['\0'], [`${'a'.repeat(158)}\u{1f600}`], [`${'a'.repeat(157)}\u{1f600}`]] },
    )
  })

  it('cannot borrow properties that every object has', () => {
    expect(judge({ required: ['toString'] })('{}')).toBe("/ must have required property 'toString'")
    expect(judge({ properties: { constructor: { type: 'number' } } })('{"a":1}')).toBeNull()
  })

  it('nested very deep is refused or taken, and nothing breaks', () => {
    const deep = '['.repeat(30_000) + ']'.repeat(30_000)
    expect(judge({ type: 'array' })(deep)).toBeNull()
    const twice = `[${'['.repeat(15_000)}${']'.repeat(15_000)},${'['.repeat(15_000)}${']'.repeat(15_000)}]`
    expect(judge({ uniqueItems: true, maxItems: 2 })(twice)).not.toBeNull()
  })
})

describe('patterns', () => {
  it.each(['^(a+)+$', '(a|aa)+c', '(x+x+)+y', '^(([a-z])+.)+[A-Z]([a-z])+$'])(
    '%s of a hostile text takes steps in proportion to its length',
    (pattern) => {
      const check = judge({ pattern })
      // A backtracking engine would not come back from this in years.
      expect(check(JSON.stringify(`${'a'.repeat(50_000)}!`))).not.toBeNull()
    },
  )

  it('mean what they mean to the platform where both know them', () => {
    const samples = ['', 'a', 'ab12', 'A-1', '2026-11-27', 'é', 'a b', '____', '0x1F', 'x'.repeat(40)]
    for (const pattern of [
      '^[a-z]+$',
      '\\d{2}',
      '^\\w+$',
      '^(?:a|ab)\\d*$',
      'x{3,}',
      '^[^a]',
      '\\u00e9',
      '^$',
      '[\\s]',
    ]) {
      const check = judge({ pattern })
      const found = samples.filter((sample) => check(JSON.stringify(sample)) === null)
      expect([pattern, found]).toEqual([pattern, samples.filter((sample) => new RegExp(pattern, 'u').test(sample))])
    }
  })
})

/** `count` parts, each of which leads to the next one, in so many ways. */
function referring(count: number, ways: number): { readonly $defs: object; readonly $ref: string } {
  const next = (index: number): object => ({
    anyOf: Array.from({ length: ways }, () => ({ $ref: `#/$defs/d${index + 1}` })),
  })
  const parts = Array.from({ length: count }, (_each, index) => [
    `d${index}`,
    index < count - 1 ? next(index) : { minimum: 5 },
  ])
  return { $ref: '#/$defs/d0', $defs: Object.fromEntries(parts) as object }
}

/** The last definition comes first. */
function turned({ $ref, $defs }: { readonly $defs: object; readonly $ref: string }): object {
  return { $ref, $defs: Object.fromEntries(Object.entries($defs).toReversed()) as object }
}

describe('a schema', () => {
  it.each<[unknown, string]>([
    ['{', 'it is no JSON'],
    [[], 'a schema is an object'],
    [true, 'a schema is an object'],
    [{ $schema: 'http://json-schema.org/draft-04/schema#' }, '$schema names neither draft-07 nor 2020-12'],
    [{ type: 'numbr' }, 'schema is invalid'],
    [{ maximun: 3 }, 'unknown keyword: "maximun"'],
    [{ pattern: '(' }, 'the pattern "(" has no linear time or is none'],
    [{ pattern: '(?=a)b' }, 'the pattern "(?=a)b" has no linear time'],
    [{ pattern: '(a)\\1' }, 'the pattern "(a)\\1" has no linear time'],
    [{ patternProperties: { '(?<!a)b': {} } }, 'has no linear time'],
    [{ pattern: 'a'.repeat(257) }, 'a pattern has at most 256 characters'],
    [{ $ref: 'https://example.com/other.json' }, '$ref "https://example.com/other.json" is not within the schema'],
    [{ $ref: '#/$defs/none' }, '$ref "#/$defs/none" is not within the schema'],
    [{ properties: { next: { $ref: '#' } } }, 'a recursive $ref is not supported'],
    [
      { $ref: '#/$defs/a', $defs: { a: { items: { $ref: '#/$defs/b' } }, b: { not: { $ref: '#/$defs/a' } } } },
      'recursive',
    ],
    [{ $dynamicRef: '#x' }, '$dynamicRef is not supported'],
    [{ $async: true }, '$async is not supported'],
    [{ properties: { a: { $id: 'a' } } }, '$id in a part of the schema is not supported'],
    [{ uniqueItems: true }, 'uniqueItems compares all items with each other'],
    [{ uniqueItems: true, items: { type: ['string', 'array'] } }, 'uniqueItems compares all items'],
    [{ uniqueItems: true, items: { type: 'object' }, maxItems: 65 }, 'a maxItems of at most 64'],
    [Array.from({ length: 65 }).reduce<object>((inner) => ({ not: inner }), {}), 'nested more than 64 deep'],
    [{ allOf: Array.from({ length: 10_000 }, () => ({})) }, 'more than 10000 parts'],
  ])('%j is refused: %s', (schema, reason) => {
    const answer = compilePayloadSchema(typeof schema === 'string' ? schema : JSON.stringify(schema), 1000)
    expect(answer).toContain(reason)
  })

  it.each([
    [17, 2, 'with each $ref followed it has more than 100000 parts to check'],
    [258, 1, 'with each $ref followed it is nested more than 256 deep'],
    [4000, 1, 'with each $ref followed it is nested more than 256 deep'],
  ])('of %i parts, each of which refers to the next one %i times, is refused: %s', (count, ways, reason) => {
    for (const schema of [referring(count, ways), turned(referring(count, ways))]) {
      expect(compilePayloadSchema(JSON.stringify(schema), 1000)).toBe(reason)
    }
  })

  it('may refer to one part in many places, and to parts that refer to others', () => {
    for (const schema of [referring(120, 1), referring(14, 2), turned(referring(14, 2))]) {
      const check = compilePayloadSchema(JSON.stringify(schema), 1000)
      if (typeof check === 'string') throw new Error(check)
      expect([check.fault(Buffer.from('1'), 0, 1), check.fault(Buffer.from('7'), 0, 1)]).toEqual([
        '/ must be >= 5',
        null,
      ])
    }
  })

  it.each<[unknown, string, string]>([
    [{ $ref: '#/$defs/t', $defs: { t: { type: 'string' } } }, '"a"', '1'],
    [{ $ref: '#t', $defs: { t: { $anchor: 't', type: 'string' } } }, '"a"', '1'],
    [{ $id: 'https://x.test/s', $ref: 'https://x.test/s#/$defs/t', $defs: { t: { type: 'string' } } }, '"a"', '1'],
    [{ items: { $ref: '#/$defs/a~1b' }, $defs: { 'a/b': { type: 'string' } } }, '["a"]', '[1]'],
    [{ properties: { $ref: { type: 'string' }, $id: { type: 'string' } } }, '{"$ref":"#","$id":"x"}', '{"$ref":1}'],
    [{ const: { $ref: '#' } }, '{"$ref":"#"}', '{}'],
    [{ uniqueItems: true, maxItems: 64 }, '[{},[]]', '[{},{}]'],
    [{ format: 'date-time', type: 'string' }, '"x"', '1'],
    [{ title: 't', description: 'd', $comment: 'c', default: 1, examples: [2], deprecated: true }, '1', '{'],
  ])('%j is taken', (schema, good, bad) => {
    const check = judge(schema)
    expect(check(good)).toBeNull()
    expect(check(bad)).not.toBeNull()
  })

  it('is found in its file, or the start is refused with the reason', async () => {
    const files: Record<string, string> = { '/good.json': '{"type":"number"}', '/bad.json': '{"type":"x"}' }
    const disk = {
      readFile: (path: string) => Promise.resolve(files[path] === undefined ? null : Buffer.from(files[path])),
    }
    const open = (schema: string | null) =>
      openPayloadSchemas(
        [
          { match: 'x', topic: 'x' },
          { match: 'a/#', topic: 'a', schema },
        ],
        disk,
      )
    expect([...(await open('/good.json')).keys()]).toEqual([1])
    expect((await open(null)).size).toBe(0)
    await expect(open('/none.json')).rejects.toThrow(
      'the schema /none.json of MQTT route 2 ("a/#") is not usable: there is no such file',
    )
    await expect(open('/bad.json')).rejects.toThrow('is not usable: schema is invalid')
  })
})

const routes: readonly TopicRoute[] = [
  { match: 'free/#', topic: 'free' },
  { match: 'plant/#', topic: 'plant', schema: 'plant.json' },
]

async function plantDoor(options: Partial<MqttDoorOptions> = {}): Promise<DoorWorld> {
  const check = compilePayloadSchema(JSON.stringify(reading), 1000)
  if (typeof check === 'string') throw new Error(check)
  return DoorWorld.start({ routes, ...options }, 1, {}, undefined, new Map([[1, check]]))
}

function reasonOf(client: TestClient): unknown {
  const packet = client.packets.findLast(({ cmd }) => cmd === 'puback' || cmd === 'pubrec')
  return (packet as { properties?: { reasonString?: string } } | undefined)?.properties?.reasonString
}

describe('a route with a schema', () => {
  it.each([1, 2] as const)(
    'stores what fits and refuses the rest with 0x99 and the reason, in order (QoS %i)',
    async (qos) => {
      const world = await plantDoor()
      const client = await world.connect('c', 5)
      client.publish('plant/a', '{"temp":1}', qos, 1)
      client.publish('plant/a', '{"temp":"x"}', qos, 2)
      client.publish('free/a', 'no JSON', qos, 3)
      client.publish('plant/a', '{"temp":2}', qos, 4)
      const [ack, last] = qos === 1 ? ['puback', 'puback#4'] : ['pubrec', 'pubrec#4']
      await client.until(last)
      expect(reasonOf(client)).toBeUndefined()
      expect(await client.look()).toBe(`connack 0, ${ack}#1, ${ack}#2 0x99, ${ack}#3, ${ack}#4`)
      const refused = client.packets.find((packet) => packet.cmd === ack && packet.messageId === 2)
      expect(refused).toMatchObject({ properties: { reasonString: '/temp must be number' } })
      expect(await world.values('plant')).toBe('{"temp":1} {"temp":2}')
      expect(await world.values('free')).toBe('no JSON')
      await world.runFor(1500)
      const figure = (outcome: string): number =>
        world.host.observer.figure('headwater_mqtt_schema_checks_total', { route: 'plant/#', outcome })
      expect([figure('valid'), figure('invalid')]).toEqual([2, 1])
      const [event] = world.host.observer.eventsOf('mqtt-payload-refused')
      expect(event?.fields).toEqual({ clientId: 'c', topic: 'plant/a', reason: '/temp must be number' })
    },
  )

  it('drops and counts at QoS 0', async () => {
    const world = await plantDoor()
    const client = await world.connect('c', 5)
    client.publish('plant/a', 'x')
    client.publish('plant/a', '{"temp":2}', 1, 1)
    await client.until('puback')
    expect(await world.values('plant')).toBe('{"temp":2}')
  })

  it('says no reason to who wants none, or takes no packet of that size', async () => {
    const world = await plantDoor()
    for (const properties of [{ requestProblemInformation: false }, { maximumPacketSize: 20 }]) {
      const client = await world.connect('c', 5, { properties })
      client.publish('plant/a', 'x', 1, 1)
      await client.until('puback#1 0x99')
      expect(reasonOf(client)).toBeUndefined()
    }
  })

  it('withholds the acknowledgement of 3.1.1 and closes', async () => {
    const world = await plantDoor({ failurePauseMs: 1000 })
    const client = await world.connect('c', 4)
    client.publish('plant/a', 'x', 1, 1)
    client.publish('plant/a', '{"temp":2}', 1, 2)
    expect(await client.look(3000)).toBe('connack 0, closed')
  })

  it('holds many refusals that wait for their turn, of which the first say why', async () => {
    const world = await plantDoor()
    const client = await world.connect('c', 5)
    const explained = (): number => {
      const all = client.packets.splice(0).filter(({ cmd }) => cmd === 'puback') as {
        properties?: { reasonString?: string }
      }[]
      return all.filter(({ properties }) => properties?.reasonString === 'the payload is no JSON').length
    }
    client.publish('plant/a', '{"temp":1}', 1, 1)
    for (let id = 2; id <= 100; id += 1) client.publish('plant/a', 'x', 1, id)
    await client.until('puback#100 0x99')
    expect((await client.look()).match(/puback#\d+/g)).toEqual(
      Array.from({ length: 100 }, (_each, at) => `puback#${at + 1}`),
    )
    expect(explained()).toBe(64)
    for (let id = 1; id <= 10; id += 1) client.publish('plant/a', 'x', 1, id)
    await client.until('puback#10 0x99')
    expect(explained()).toBe(10)
  })

  it('takes an empty payload that ends a retained message, and no other', async () => {
    const world = await plantDoor()
    const client = await world.connect('c', 5)
    client.publish('plant/a', '{"temp":1}', 1, 1, { retain: true })
    client.publish('plant/a', '', 1, 2, { retain: true })
    client.publish('plant/a', '', 1, 3)
    await client.until('puback#3 0x99')
    expect(await client.look()).toBe('connack 0, puback#1, puback#2, puback#3 0x99')
  })

  it('judges a will with its CONNECT', async () => {
    const world = await plantDoor()
    const client = await world.open(5)
    client.sendConnect('c', { will: { topic: 'plant/a', payload: 'x', qos: 1, retain: false } })
    expect(await client.look()).toBe('connack 0x99, closed')
    const other = await world.connect('o', 5, {
      will: { topic: 'plant/a', payload: '{"temp":9}', qos: 1, retain: false },
    })
    other.drop()
    await world.runFor(100)
    expect(await world.values('plant')).toBe('{"temp":9}')
  })

  it('judges a will of before a restart when it is due', async () => {
    const world = await plantDoor()
    const { checks } = world
    world.checks = new Map()
    await world.restart()
    const kept = { clean: false, properties: { sessionExpiryInterval: 1000 } }
    await world.connect('c', 5, { ...kept, will: { topic: 'plant/a', payload: 'x', qos: 1, retain: false } })
    await world.connect('o', 5, { ...kept, will: { topic: 'plant/a', payload: '{"temp":9}', qos: 1, retain: false } })
    world.checks = checks
    await world.restart()
    await world.runFor(100)
    expect(await world.values('plant')).toBe('{"temp":9}')
  })
})
