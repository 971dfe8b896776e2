/** What a command route may be, and how far it is in one partition. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CommandRoute, compileCommandRoutes } from '../../../src/ingest/mqtt/command-route.ts'
import { decodeTrack, encodeTrack } from '../../../src/ingest/mqtt/command-track.ts'
import { TopicMapping } from '../../../src/ingest/mqtt/topic-mapping.ts'
import { pumps } from './command-world.ts'

const mapping = new TopicMapping([
  { match: 'raw/{x}', topic: 'raw.{x}', headers: 'none' },
  { match: 'full/#', topic: 'full' },
])

describe('a command route', () => {
  it.each<[Partial<CommandRoute>, string]>([
    [{ name: 'a/b' }, 'a name is made of letters'],
    [{ kafkaTopic: 'a/b' }, '"a/b" is no legal Kafka topic name'],
    [{ kafkaTopic: '__consumer_offsets' }, 'belong to internal topics'],
    [{ kafkaTopic: 'raw.commands' }, 'may write to raw.commands without headers'],
    [{ mqttTopic: 'pump/{device}' }, 'uses {device}: there are {key}, {partition}, {offset} and {header.NAME}'],
    [{ mqttTopic: 'pump/{header.}' }, 'uses {header.}'],
    [{ mqttTopic: 'pump/{key' }, 'has a brace that is no place'],
    [{ mqttTopic: 'pump/+/{key}' }, 'has a wildcard or is no text of MQTT'],
    [{ mqttTopic: 'pump/#' }, 'has a wildcard'],
    [{ mqttTopic: '$SYS/{key}' }, 'begins with $'],
    [{ mqttTopic: '{key}'.repeat(9) }, 'more than 8 places'],
    [{ mqttTopic: 'a/'.repeat(256) + '{key}' }, 'more than 256 levels'],
    [{ correlationData: 'x', responseTopic: 'x' }, 'three different headers'],
  ])('with %j is refused', (change, reason) => {
    expect(() => compileCommandRoutes([{ ...pumps, ...change }], mapping)).toThrow(reason)
  })

  it('is refused beside another of the same name or the same Kafka topic', () => {
    expect(() => compileCommandRoutes([pumps, { ...pumps, kafkaTopic: 'other' }], mapping)).toThrow('has this name')
    expect(() => compileCommandRoutes([pumps, { ...pumps, name: 'other' }], mapping)).toThrow(
      'another route reads commands',
    )
  })

  it('takes a topic that MQTT writes to with headers', () => {
    expect(compileCommandRoutes([{ ...pumps, kafkaTopic: 'full' }], mapping).size).toBe(1)
  })
})

describe('the metadata of a committed offset', () => {
  const state = fc
    .record({
      offset: fc.integer({ min: 0, max: 2 ** 40 }),
      gaps: fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 300 }),
      rest: fc.integer({ min: 1, max: 2 ** 40 }),
    })
    .map(({ offset, gaps, rest }) => {
      let at = offset
      const undone = gaps.map((gap) => (at += gap))
      return { endOffset: at + rest, undone }
    })

  it('says what is undone, and the offset is the first of that', () => {
    fc.assert(
      fc.property(state, ({ endOffset, undone }) => {
        const { offset, metadata } = encodeTrack(endOffset, undone, 4096)
        expect(offset).toBe(undone[0] ?? endOffset)
        expect(decodeTrack(offset, metadata)).toEqual({ endOffset, undone })
      }),
    )
  })

  it('is no longer than it may be: then the end is what does not fit', () => {
    fc.assert(
      fc.property(state, fc.integer({ min: 0, max: 200 }), ({ endOffset, undone }, lengthMax) => {
        const { offset, metadata } = encodeTrack(endOffset, undone, lengthMax)
        if (lengthMax >= 40) expect(metadata.length).toBeLessThanOrEqual(lengthMax)
        const read = decodeTrack(offset, metadata)
        const isLess = read.endOffset < endOffset
        expect(read.undone).toEqual(isLess ? undone.filter((each) => each < read.endOffset) : undone)
        if (isLess) expect(undone).toContain(read.endOffset)
      }),
    )
  })

  it.each(['', 'by hand', '1:x:AA==', '2:9:AA==', '1:3:', '1:99999999999999999999:AA=='])(
    'of somebody else (%s) means nothing',
    (metadata) => expect(decodeTrack(5, metadata)).toEqual({ endOffset: 5, undone: [] }),
  )
})
