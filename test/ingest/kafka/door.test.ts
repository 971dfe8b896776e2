import { describe, expect, test } from 'vitest'
import { BrokerSettings } from '../../../src/cluster/metadata/broker-config.ts'
import { gateLimits, kafkaDoorOptionsOf } from '../../../src/ingest/kafka/door-options.ts'
import {
  CloseConnection,
  type HandlerEntry,
  type KafkaHandler,
  type RequestContext,
} from '../../../src/ingest/kafka/handler.ts'
import type { HeartbeatRequest, HeartbeatResponseInput } from '../../../src/protocol/kafka/messages/heartbeat.ts'
import { frame, heartbeatBody, int32, noFeatures, noQuotas, openDoor, type RawClient, text } from './door-harness.ts'

const heartbeatKey = 12
const listGroupsKey = 16
const joinGroupKey = 11
const fetchKey = 1

type HeartbeatHandler = KafkaHandler<HeartbeatRequest, HeartbeatResponseInput>

const answerAtOnce: HandlerEntry = [heartbeatKey, (() => ({ errorCode: 0 })) satisfies HeartbeatHandler]

/** An ApiVersions request with the client's name (flexible: tagged header, compact strings). */
function apiVersions(version: number, correlationId: number, name = 'test', softwareVersion = '1.0'): Buffer {
  const compact = (value: string): Buffer => Buffer.concat([Buffer.from([value.length + 1]), Buffer.from(value)])
  const body = Buffer.concat([Buffer.from([0]), compact(name), compact(softwareVersion), Buffer.from([0])])
  return frame(18, version, correlationId, body)
}

describe('pipelining', () => {
  test('20 mixed requests, some slow, begin in order, overlap, and are answered in order', async () => {
    const begun: string[] = []
    let running = 0
    let runningMost = 0
    const { world, server, connect } = await openDoor([
      [
        heartbeatKey,
        ((request) => {
          begun.push(request.memberId)
          const delayMs = Number(request.memberId.split(':')[1])
          if (delayMs === 0) return { errorCode: 0 }
          runningMost = Math.max(runningMost, ++running)
          return new Promise((resolve) => {
            server.clock.schedule(delayMs, () => {
              running--
              resolve({ errorCode: 0 })
            })
          })
        }) satisfies HeartbeatHandler,
      ],
      [listGroupsKey, () => ({ errorCode: 0, groups: [] })],
    ])
    const client = await connect()
    const delaysMs = [0, 500, 0, 3, 250, 0, 1, 900, 0, 0, 40, 40, 700, 5, 0]
    const requests: Buffer[] = []
    delaysMs.forEach((delayMs, at) => requests.push(frame(heartbeatKey, 0, at, heartbeatBody(`${at}:${delayMs}`))))
    for (let at = 15; at < 20; at++) requests.push(frame(listGroupsKey, 0, at))
    client.send(...requests)
    await world.run(() => client.frames.length === 20)
    expect(client.correlations).toEqual(Array.from({ length: 20 }, (_, at) => at))
    expect(begun).toEqual(delaysMs.map((delayMs, at) => `${at}:${delayMs}`))
    expect(runningMost).toBeGreaterThan(5)
    expect(world.nowMs).toBeLessThan(1_000)
  })

  test('a request without an answer (acks=0) leaves no gap', async () => {
    const { world, connect } = await openDoor([
      [
        heartbeatKey,
        ((request) => (request.memberId === 'silent' ? null : { errorCode: 0 })) satisfies HeartbeatHandler,
      ],
    ])
    const client = await connect()
    client.send(
      frame(heartbeatKey, 0, 1, heartbeatBody('silent')),
      frame(heartbeatKey, 0, 2, heartbeatBody('a')),
      frame(heartbeatKey, 0, 3, heartbeatBody('silent')),
      frame(heartbeatKey, 0, 4, heartbeatBody('b')),
    )
    await world.run(() => client.frames.length === 2)
    expect(client.correlations).toEqual([2, 4])
  })

  test('a handler that has no other way to tell its client closes the connection, behind the answers that are ready', async () => {
    const { world, connect } = await openDoor([
      [
        heartbeatKey,
        ((request) =>
          request.memberId === 'lost' ? new CloseConnection('lost') : { errorCode: 0 }) satisfies HeartbeatHandler,
      ],
    ])
    const client = await connect()
    client.send(frame(heartbeatKey, 0, 1, heartbeatBody('a')), frame(heartbeatKey, 0, 2, heartbeatBody('lost')))
    await world.run(() => client.isClosed)
    expect(client.correlations).toEqual([1])
  })

  test('no more requests run than the bound allows, and none is lost', async () => {
    let running = 0
    let runningMost = 0
    const { world, server, connect } = await openDoor(
      [
        [
          heartbeatKey,
          (() => {
            runningMost = Math.max(runningMost, ++running)
            return new Promise((resolve) => {
              server.clock.schedule(1, () => {
                running--
                resolve({ errorCode: 0 })
              })
            })
          }) satisfies HeartbeatHandler,
        ],
      ],
      { pendingRequestsMax: 5 },
    )
    const client = await connect()
    client.send(...Array.from({ length: 200 }, (_, at) => frame(heartbeatKey, 0, at, heartbeatBody('x'))))
    await world.run(() => client.frames.length === 200)
    expect(client.correlations).toEqual(Array.from({ length: 200 }, (_, at) => at))
    expect(runningMost).toBe(5)
  })
})

describe('bad input', () => {
  const refused = async (bytes: Uint8Array, options = {}): Promise<string> => {
    const { world, connect, door } = await openDoor([answerAtOnce], options)
    const other = await connect()
    const client = await connect()
    client.send(frame(heartbeatKey, 0, 1, heartbeatBody('good')), bytes)
    await world.run(() => client.isClosed)
    expect(client.correlations).toEqual([1])
    other.send(frame(heartbeatKey, 0, 2, heartbeatBody('unharmed')))
    await world.run(() => other.frames.length === 1)
    await world.run(() => door.connectionCount === 1)
    const events = world.host('broker').observer.eventsOf('kafka-request-refused')
    expect(events).toHaveLength(1)
    return String(events[0]?.fields.reason)
  }

  test('an unknown API key closes the connection; what came before is answered, others are unharmed', async () => {
    expect(await refused(frame(999, 0, 2))).toBe('unknown API key 999')
  })

  test('an API without a handler is unknown', async () => {
    expect(await refused(frame(0, 9, 2))).toBe('unknown API key 0')
  })

  test('an unknown version closes the connection', async () => {
    expect(await refused(frame(heartbeatKey, 99, 2))).toBe('Heartbeat version 99 is not served')
    expect(await refused(frame(heartbeatKey, -1, 2))).toBe('Heartbeat version -1 is not served')
  })

  test('a body that cannot be read closes the connection', async () => {
    expect(await refused(frame(heartbeatKey, 0, 2, Buffer.from([0x7f, 0xff, 1])))).toContain(
      'Heartbeat version 0 cannot be read',
    )
  })

  test('a frame above the limit is refused at its length', async () => {
    const length = Buffer.from([0x7f, 0xff, 0xff, 0xff])
    expect(await refused(length, { requestBytesMax: 1_000 })).toBe('a frame of 2147483647 bytes, the limit is 1000')
    expect(await refused(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toContain('a frame of 1195725856 bytes')
    expect(await refused(Buffer.from([0xff, 0xff, 0xff, 0xff]))).toContain('a frame of -1 bytes')
  })

  test('a frame too short for a header closes the connection', async () => {
    expect(await refused(Buffer.from([0, 0, 0, 0]))).toBe('a request of 0 bytes')
    expect(await refused(Buffer.from([0, 0, 0, 3, 0, 12, 0]))).toBe('a request of 3 bytes')
  })

  test('a flood of refusals does not flood the log', async () => {
    const { world, connect, door } = await openDoor([answerAtOnce])
    for (let at = 0; at < 60; at++) {
      const client = await connect()
      client.send(frame(999, 0, 1))
      await world.run(() => client.isClosed)
    }
    await world.runFor(60_000)
    const client = await connect()
    client.send(frame(999, 0, 1))
    await world.run(() => client.isClosed && door.connectionCount === 0)
    const { observer } = world.host('broker')
    expect(observer.eventsOf('kafka-request-refused')).toHaveLength(21)
    expect(observer.eventsOf('kafka-refusals-not-logged').map(({ fields }) => fields.count)).toEqual([40])
    expect(observer.figure('headwater_kafka_connections_closed_total', { reason: 'refused' })).toBe(61)
  })
})

describe('a handler that fails', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('a bug')
      },
    ],
    ['rejects', () => Promise.reject(new Error('a bug'))],
    ['answers nonsense', () => ({ errorCode: 'x' as unknown as number })],
  ] as const)('%s: its connection closes with an event, others go on', async (_, fail) => {
    const { world, connect } = await openDoor([
      [
        heartbeatKey,
        ((request) => (request.memberId === 'bad' ? fail() : { errorCode: 0 })) satisfies HeartbeatHandler,
      ],
    ])
    const client = await connect()
    const other = await connect()
    client.send(frame(heartbeatKey, 0, 1, heartbeatBody('bad')))
    await world.run(() => client.isClosed)
    other.send(frame(heartbeatKey, 0, 2, heartbeatBody('good')))
    await world.run(() => other.frames.length === 1)
    expect(world.host('broker').observer.eventsOf('kafka-request-failed')).toHaveLength(1)
  })
})

describe('ApiVersions', () => {
  test('answers an unknown version in version 0 with error 35 and its own range (KIP-511)', async () => {
    const { world, connect } = await openDoor([answerAtOnce])
    const client = await connect()
    client.send(apiVersions(99, 1))
    await world.run(() => client.frames.length === 1)
    // correlation id, error 35, one row: key 18, versions 0 to 4
    expect(client.frames[0]?.toString('hex')).toBe('00000001' + '0023' + '00000001' + '0012' + '0000' + '0004')
    client.send(apiVersions(3, 2))
    await world.run(() => client.frames.length === 2)
    expect(client.frames[1]?.readInt16BE(4)).toBe(0)
  })

  test('offers what has a handler and nothing else, Produce from version 0, with a plain header in every version', async () => {
    const { world, connect } = await openDoor([answerAtOnce, [0, () => null]], {
      features: () => ({
        epoch: 6,
        supported: [
          { name: 'metadata.version', minVersion: 7, maxVersion: 27 },
          { name: 'kraft.version', minVersion: 0, maxVersion: 1 },
        ],
        finalized: [{ name: 'metadata.version', level: 27 }],
      }),
    })
    const client = await connect()
    client.send(frame(18, 0, 1), apiVersions(3, 2), apiVersions(4, 3))
    await world.run(() => client.frames.length === 3)
    const own = ['0011' + '0000' + '0001', '0012' + '0000' + '0004', '0024' + '0000' + '0002']
    const rows = ['0000' + '0000' + '000d', '000c' + '0000' + '0004', ...own].join('')
    expect(client.frames[0]?.toString('hex')).toBe('00000001' + '0000' + '00000005' + rows)
    const [third, fourth] = client.frames.slice(1).map((bytes) => bytes.toString('latin1'))
    expect(third).toContain('metadata.version')
    expect(third).not.toContain('kraft.version')
    expect(fourth).toContain('kraft.version')
    expect(client.frames[1]?.readInt8(6)).toBe(6) // five rows: the body begins right behind the correlation id
  })

  test('refuses a software name that is none, and goes on', async () => {
    const { world, connect } = await openDoor([answerAtOnce])
    const client = await connect()
    client.send(apiVersions(3, 1, '-bad-'), apiVersions(3, 2, 'ok', ''), apiVersions(3, 3))
    await world.run(() => client.frames.length === 3)
    expect(client.frames.map((bytes) => bytes.readInt16BE(4))).toEqual([42, 42, 0])
  })
})

describe('bounds', () => {
  const fetchBody = Buffer.concat([
    Buffer.alloc(4, 0xff),
    Buffer.alloc(8),
    Buffer.alloc(4),
    Buffer.alloc(1),
    Buffer.alloc(4),
  ])
  /** Answers each Fetch (version 4) with this many bytes of records. */
  const largeFetch = (bytes: number, begun: () => void): HandlerEntry => [
    fetchKey,
    () => {
      begun()
      return {
        responses: [{ topic: 't', partitions: [{ partitionIndex: 0, records: new Uint8Array(bytes) }] }],
      }
    },
  ]

  test('a client that never reads is paused, holds a bounded amount, and is closed when it has been still for long', async () => {
    let begun = 0
    const { world, connect, door } = await openDoor([largeFetch(1_000_000, () => begun++)], { idleMs: 60_000 })
    const client = await connect()
    client.connection.pause()
    client.send(...Array.from({ length: 500 }, (_, at) => frame(fetchKey, 4, at, fetchBody)))
    await world.runFor(30_000)
    expect(begun).toBeLessThanOrEqual(4)
    expect(door.connectionCount).toBe(1)
    await world.runFor(120_000)
    expect(door.connectionCount).toBe(0)
    expect(world.host('broker').observer.figure('headwater_kafka_connections_closed_total', { reason: 'idle' })).toBe(1)
  })

  test('clients that never read cannot take the memory of all answers: a reader is served within seconds', async () => {
    let begun = 0
    const { world, connect, door } = await openDoor([largeFetch(1_000_000, () => begun++)], {
      responseMemoryBytesMax: 4_000_000,
    })
    const silent: RawClient[] = []
    for (let at = 0; at < 10; at++) {
      const client = await connect()
      client.connection.pause()
      client.send(frame(fetchKey, 4, 0, fetchBody), frame(fetchKey, 4, 1, fetchBody))
      silent.push(client)
    }
    await world.runFor(1_000)
    expect(begun).toBeLessThan(10)
    const reader = await connect()
    reader.send(frame(fetchKey, 4, 9, fetchBody))
    await world.run(() => reader.frames.length === 1, 30_000)
    expect(world.host('broker').observer.eventsOf('kafka-connection-stalled').length).toBeGreaterThan(0)
    expect(door.connectionCount).toBeLessThan(11)
  })

  test('answers that are put together side by side share the memory of all; it is free again when their clients have gone', async () => {
    let read = 0
    const fetch: HandlerEntry = [
      fetchKey,
      async (_: never, { answerMemory }: RequestContext) => {
        if (answerMemory === undefined) throw new Error('no memory for an answer')
        while (answerMemory.roomBytes <= 0) if (!(await answerMemory.whenRoom())) return { responses: [] }
        answerMemory.hold(1_000_000)
        read++
        await Promise.resolve()
        return {
          responses: [{ topic: 't', partitions: [{ partitionIndex: 0, records: new Uint8Array(1_000_000) }] }],
        }
      },
    ]
    const { world, connect, door } = await openDoor([fetch], { responseMemoryBytesMax: 4_000_000 })
    const used = (): number => {
      door.refreshGauges()
      return world.host('broker').observer.figure('headwater_kafka_response_memory_bytes')
    }
    const clients: RawClient[] = []
    for (let at = 0; at < 10; at++) clients.push(await connect())
    for (const client of clients) {
      client.connection.pause()
      client.send(frame(fetchKey, 4, 0, fetchBody), frame(fetchKey, 4, 1, fetchBody))
    }
    await world.runFor(1_000)
    expect(read).toBeLessThanOrEqual(5)
    expect(used()).toBeLessThanOrEqual(5_100_000)
    for (const client of clients) client.connection.destroy()
    await world.run(() => door.connectionCount === 0)
    expect(used()).toBe(0)
  })

  test('a client that has answers to take gets no more, of whatever kind, while there is no memory for any', async () => {
    let begun = 0
    const members = [{ memberId: 'm', memberMetadata: new Uint8Array(400_000) }]
    const describeGroups: HandlerEntry = [
      15,
      () => {
        begun++
        return { groups: [{ groupId: 'g', members }] }
      },
    ]
    const { world, connect } = await openDoor([describeGroups], { responseMemoryBytesMax: 2_000_000 })
    const request = frame(15, 0, 1, Buffer.concat([int32(1), text('g')]))
    for (let at = 0; at < 10; at++) {
      const client = await connect()
      client.connection.pause()
      client.send(...Array.from({ length: 5 }, () => request))
    }
    await world.runFor(1_000)
    // Each has one, and some have had a second while there was room.
    expect(begun).toBeGreaterThanOrEqual(10)
    expect(begun).toBeLessThanOrEqual(15)
  })

  test('large frames that are begun and never sent cannot take the memory of all requests', async () => {
    const { world, connect } = await openDoor([answerAtOnce], {
      requestBytesMax: 1_000_000,
      requestMemoryBytesMax: 3_000_000,
    })
    const begin = frame(heartbeatKey, 0, 1, Buffer.alloc(900_000))
    for (let at = 0; at < 6; at++) (await connect()).send(begin.subarray(0, 100_000))
    await world.runFor(1_000)
    const client = await connect()
    const body = Buffer.concat([heartbeatBody('x'), Buffer.alloc(900_000)])
    client.send(frame(heartbeatKey, 0, 7, body))
    await world.run(() => client.frames.length === 1, 60_000)
    expect(client.correlations).toEqual([7])
  })

  test('a request that names more than this node can have is refused before its handler sees it', async () => {
    const seen: number[] = []
    const describeGroups: HandlerEntry = [
      15,
      ({ groups }: { readonly groups: readonly string[] }) => {
        seen.push(groups.length)
        return { groups: [] }
      },
    ] as HandlerEntry
    const { world, connect } = await openDoor([describeGroups])
    const naming = (count: number): Buffer =>
      frame(15, 0, count, Buffer.concat([int32(count), ...Array.from({ length: count }, () => text('g'))]))
    const client = await connect()
    client.send(naming(60_000))
    await world.run(() => client.frames.length === 1)
    client.send(naming(60_001))
    await world.run(() => client.isClosed)
    expect(seen).toEqual([60_000])
  })

  test('connections beyond the limit are refused', async () => {
    const { world, connect, door } = await openDoor([answerAtOnce], {
      connections: gateLimits({ connectionsMax: 2 }),
    })
    await connect()
    await connect()
    const third = await connect()
    await world.run(() => third.isClosed)
    expect(door.connectionCount).toBe(2)
    expect(world.host('broker').observer.eventsOf('kafka-connections-exhausted')).toHaveLength(1)
  })

  test('connections that come faster than max.connection.creation.rate wait for their turn', async () => {
    const { world, connect, door } = await openDoor([answerAtOnce], {
      connections: gateLimits({ connectionsPerSecondMax: 2 }),
    })
    const clients: RawClient[] = []
    for (let each = 0; each < 14; each++) clients.push(await connect())
    await world.runFor(100)
    expect(door.connectionCount).toBe(2)
    const refused = clients.filter(({ isClosed }) => isClosed).length
    expect(refused).toBeGreaterThan(0)
    await world.runFor(5_000)
    expect(door.connectionCount).toBe(clients.length - refused)
    const figure = world.host('broker').observer.figure('headwater_kafka_connections_refused_total', { reason: 'rate' })
    expect(figure).toBe(refused)
  })

  test('max.connections and its kin are what the settings say now, with overrides by address', async () => {
    const settings = new BrokerSettings(
      new Map([
        ['max.connections.per.ip', '1'],
        ['max.connections.per.ip.overrides', '10.0.0.2:3,[2001:db8::1]:0'],
      ]),
    )
    const { connections } = kafkaDoorOptionsOf(settings, noQuotas(), () => noFeatures)
    const perAddress = (host: string): number => connections.connectionsPerAddressMax(host)
    expect(['10.0.0.2', '10.0.0.3', '2001:db8:0:0:9::', '127.0.0.1'].map(perAddress)).toEqual([3, 1, 0, Infinity])
    const { world, connect, door } = await openDoor([answerAtOnce], { connections })
    for (let each = 0; each < 5; each++) await connect()
    await world.runFor(100)
    expect(door.connectionCount).toBe(3)
    const changed = new Map([
      ['max.connections.per.ip.overrides', '10.0.0.2:4,127.0.0.1:2'],
      ['max.connections', '5'],
    ])
    settings.useDynamic((name) => changed.get(name))
    for (let each = 0; each < 5; each++) await connect()
    await world.runFor(100)
    expect(door.connectionCount).toBe(4)
    expect(perAddress('127.0.0.1')).toBe(2)
    expect(connections.connectionsMax()).toBe(5)
  })

  test('a connection without traffic is closed after connections.max.idle.ms, one with a running request is not', async () => {
    const { world, connect, door } = await openDoor(
      [[heartbeatKey, (() => new Promise(() => {})) satisfies HeartbeatHandler]],
      { idleMs: 10_000 },
    )
    await connect()
    const busy = await connect()
    busy.send(frame(heartbeatKey, 0, 1, heartbeatBody('x')))
    await world.runFor(30_000)
    expect(door.connectionCount).toBe(1)
    expect(busy.isClosed).toBe(false)
  })
})

describe('the context of a request', () => {
  const seen = async (advertise: { readonly host: string; readonly port: number } | null): Promise<string> => {
    let told = ''
    const { world, connect } = await openDoor(
      [
        [
          heartbeatKey,
          ((_, context) => {
            told = `${context.clientHost} ${context.clientId} v${context.apiVersion} ${context.advertised.host}:${context.advertised.port} ${context.principal}`
            return { errorCode: 0 }
          }) satisfies HeartbeatHandler,
        ],
      ],
      {},
      advertise,
    )
    const client = await connect()
    client.send(frame(heartbeatKey, 2, 1, heartbeatBody('x')))
    await world.run(() => client.frames.length === 1)
    return told
  }

  test('tells the configured address, else the one that the connection came in on', async () => {
    expect(await seen({ host: 'edge7.local', port: 19092 })).toBe('10.0.0.2 t v2 edge7.local:19092 User:ANONYMOUS')
    expect(await seen(null)).toBe('10.0.0.2 t v2 10.0.0.1:9092 User:ANONYMOUS')
  })

  test('calls back when the connection goes before the answer, and not after it', async () => {
    const gone: string[] = []
    const { world, connect } = await openDoor([
      [
        heartbeatKey,
        ((request, context) => {
          context.onClose(() => gone.push(`${request.memberId} ${context.isClosed()}`))
          return request.memberId === 'waits' ? new Promise(() => {}) : { errorCode: 0 }
        }) satisfies HeartbeatHandler,
      ],
    ])
    const client = await connect()
    client.send(frame(heartbeatKey, 0, 1, heartbeatBody('at once')), frame(heartbeatKey, 0, 2, heartbeatBody('waits')))
    await world.run(() => client.frames.length === 1)
    client.connection.destroy()
    await world.run(() => gone.length > 0)
    expect(gone).toEqual(['waits true'])
  })
})

describe('stopping', () => {
  test('lets running requests end, begins no other, and closes', async () => {
    const { world, server, door, connect } = await openDoor([
      [
        heartbeatKey,
        (() =>
          new Promise((resolve) => {
            server.clock.schedule(500, () => resolve({ errorCode: 0 }))
          })) satisfies HeartbeatHandler,
      ],
    ])
    const idle = await connect()
    const busy = await connect()
    busy.send(frame(heartbeatKey, 0, 1, heartbeatBody('x')))
    await world.runFor(100)
    const stopped = door.stop()
    await world.runFor(10)
    busy.send(frame(heartbeatKey, 0, 2, heartbeatBody('late')))
    await world.settle(stopped)
    await world.run(() => idle.isClosed && busy.isClosed)
    expect(busy.correlations).toEqual([1])
    await expect(connect()).rejects.toThrow('ECONNREFUSED')
  })

  test('does not wait for those who wait for others', async () => {
    const { world, door, connect } = await openDoor([
      [joinGroupKey, () => new Promise(() => {})],
      [heartbeatKey, (() => new Promise(() => {})) satisfies HeartbeatHandler],
    ])
    const joining = await connect()
    const working = await connect()
    const body = Buffer.concat([text('g'), int32(10_000), text(''), text('consumer'), int32(0)])
    joining.send(frame(joinGroupKey, 0, 1, body))
    working.send(frame(heartbeatKey, 0, 1, heartbeatBody('x')))
    await world.runFor(100)
    const stopped = door.stop()
    await world.runFor(2_000)
    expect([joining.isClosed, working.isClosed]).toEqual([true, false])
    await world.settle(stopped)
  })

  test('cuts what does not end in time', async () => {
    const { world, door, connect } = await openDoor(
      [[heartbeatKey, (() => new Promise(() => {})) satisfies HeartbeatHandler]],
      { stopTimeoutMs: 1_000 },
    )
    const client = await connect()
    client.send(frame(heartbeatKey, 0, 1, heartbeatBody('x')))
    await world.runFor(100)
    await world.settle(door.stop())
    expect(world.nowMs).toBeLessThan(2_000)
    await world.run(() => client.isClosed)
  })
})

test('answers that are ready in one turn leave in one piece', async () => {
  const { world, connect } = await openDoor([answerAtOnce])
  const client = await connect()
  client.send(Buffer.concat(Array.from({ length: 50 }, (_, at) => frame(heartbeatKey, 0, at, heartbeatBody('x')))))
  await world.run(() => client.frames.length === 50)
  expect(world.host('broker').observer.figure('headwater_kafka_sent_bytes_total')).toBe(50 * 10)
  expect(client.pieces.length).toBeLessThan(10)
  expect(text('x').length).toBe(3)
})
