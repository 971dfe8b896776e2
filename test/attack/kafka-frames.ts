/** Frames that are no requests, or not those they claim to be. */
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { apiVersionsApi, kafkaApis, metadataApi } from '../../src/protocol/kafka/apis.ts'
import { decodeResponse, encodeRequest } from '../../src/protocol/kafka/header.ts'
import { int16, int32 } from './batch-bytes.ts'
import { doorBounds, type DoorWorld } from './door-world.ts'
import { assertGrowth, memoryOf } from './process-facts.ts'
import { RawClient } from './raw-client.ts'
import { each, eachAtOnce, type Row } from './row.ts'

const mib = 1_048_576

export function kafkaFrameRows(world: DoorWorld): readonly Row[] {
  const { kafka, mqtt, http, pid } = world.daemon
  const closes = (name: string, bytes: Uint8Array) => ({ name, bytes })
  const mustClose = async ({ bytes }: { readonly bytes: Uint8Array }): Promise<void> => {
    const client = await RawClient.connect(kafka)
    client.send(bytes)
    await client.closed().finally(() => client.destroy())
    assert.equal(client.receivedBytes, 0, 'nothing is answered')
  }
  return [
    {
      name: 'Kafka: a frame longer than the bound is refused at its length, without memory for it',
      async run() {
        const before = memoryOf(pid).peakBytes
        const lengths = [doorBounds.kafkaFrameBytesMax + 1, 100 * mib, 0x7fff_ffff]
        await each(
          lengths.map((length) => closes(`length ${length}`, int32(length))),
          mustClose,
        )
        await Promise.all(Array.from({ length: 50 }, () => mustClose({ bytes: int32(0x7fff_fff0) })))
        const grown = memoryOf(pid).peakBytes - before
        assertGrowth(grown, 64 * mib)
      },
    },
    {
      name: 'Kafka: a negative length, and frames too short for a header, close their connection',
      run: () =>
        each(
          [
            closes('length -1', int32(-1)),
            closes('length -2^31', int32(-0x8000_0000)),
            ...[0, 1, 2, 7].map((length) => closes(`${length} bytes`, framed(Buffer.alloc(length)))),
          ],
          mustClose,
        ),
    },
    {
      name: 'Kafka: an unknown API key closes its connection',
      run: () =>
        each(
          [-1, 4, 5, 6, 7, 24, 9999, 0x7fff].map((key) => closes(`API key ${key}`, request(key, 0, Buffer.alloc(16)))),
          mustClose,
        ),
    },
    {
      name: 'Kafka: an unknown version of a known API closes its connection',
      run: () =>
        each(
          kafkaApis
            .filter((api) => api !== apiVersionsApi)
            .flatMap((api) =>
              [-1, api.maxVersion + 1, 0x7fff].map((version) =>
                closes(`${api.name} version ${version}`, request(api.key, version, Buffer.alloc(32))),
              ),
            ),
          mustClose,
        ),
    },
    {
      name: 'Kafka: ApiVersions in an unknown version is answered in version 0 with error 35, and the connection goes on',
      async run() {
        for (const version of [apiVersionsApi.maxVersion + 1, 99, 0x7fff, -1]) {
          const client = await RawClient.connect(kafka)
          client.send(request(apiVersionsApi.key, version, randomBytes(20)))
          const { correlationId, value } = decodeResponse(apiVersionsApi, 0, await client.frame())
          assert.equal(correlationId, 77)
          assert.equal(value.errorCode, 35)
          const known = value.apiKeys.find(({ apiKey }) => apiKey === apiVersionsApi.key)
          assert.deepEqual([known?.minVersion, known?.maxVersion], [0, apiVersionsApi.maxVersion])
          client.send(...encodeRequest(apiVersionsApi, 3, 78, 'attack', clientSoftware))
          assert.equal(decodeResponse(apiVersionsApi, 3, await client.frame()).value.errorCode, 0)
          client.destroy()
        }
      },
    },
    {
      name: 'Kafka: HTTP, TLS, SSH and MQTT on its port close their connection',
      run: () => each(strangers, mustClose),
    },
    {
      name: 'MQTT: Kafka, HTTP, TLS and SSH on its port close their connection',
      run: () =>
        eachAtOnce([...strangers.slice(0, -1), { name: 'Kafka', bytes: metadataRequest() }], async ({ bytes }) => {
          const client = await RawClient.connect(mqtt)
          client.send(bytes)
          // What looks like a packet that is not whole yet has until the deadline of CONNECT.
          await client.closed(doorBounds.mqttConnectDeadlineMs + 2_000).finally(() => client.destroy())
        }),
    },
    {
      name: 'HTTP: noise, endless headers and an endless body are refused; health still answers',
      run: () => attackHttp(http),
    },
    {
      name: 'Kafka: 300 connections of random bytes, and frames with random content, hurt nobody',
      async run() {
        for (let round = 0; round < 15; round++) {
          const clients = await Promise.all(
            Array.from({ length: 20 }, async (_, index) => {
              const client = await RawClient.connect(kafka)
              const noise = randomBytes(1 + ((round * 20 + index) % 400))
              return client.send(index % 2 === 0 ? noise : framed(noise))
            }),
          )
          const talk = await world.talk()
          await talk.metadataErrors([])
          talk.close()
          for (const client of clients) client.destroy()
        }
      },
    },
    {
      name: 'Kafka: counts of 2^31-1 and strings beyond the frame, anywhere in a request of any API, are refused without memory',
      async run() {
        const before = memoryOf(pid).peakBytes
        await each(overstated(), async ({ bytes }) => {
          const client = await RawClient.connect(kafka)
          client.send(bytes)
          // Where the place was a number, the rest is still a request.
          const answered = client.take(8).catch(() => client.closed())
          await answered.finally(() => client.destroy())
        })
        const grown = memoryOf(pid).peakBytes - before
        assertGrowth(grown, 64 * mib)
      },
    },
    {
      name: 'Kafka: a request cut off at any byte closes its connection',
      run: () => each(cutRequests(), mustClose),
    },
  ]
}

const clientSoftware = { clientSoftwareName: 'attack', clientSoftwareVersion: '1' }

const strangers = [
  { name: 'HTTP', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: headwater\r\n\r\n') },
  { name: 'TLS', bytes: Buffer.from('16030100c8010000c40303'.padEnd(410, '5a'), 'hex') },
  { name: 'SSH', bytes: Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n') },
  { name: 'MQTT', bytes: Buffer.from('102000044d5154540402003c0014', 'hex') },
] as const

/** A length and what follows it. */
export function framed(body: Uint8Array): Buffer {
  return Buffer.concat([int32(body.length), body])
}

/** A request with a header of version 1 (correlation id 77, no client id). */
export function request(apiKey: number, version: number, body: Uint8Array): Buffer {
  return framed(Buffer.concat([int16(apiKey), int16(version), int32(77), int16(-1), body]))
}

export function metadataRequest(): Buffer {
  return Buffer.concat(encodeRequest(metadataApi, 9, 1, 'attack', { topics: [] }))
}

/** Bodies whose first length, whatever it counts, is beyond everything: each API at both ends of its versions. */
function overstated(): readonly { readonly name: string; readonly bytes: Buffer }[] {
  const cases: { readonly name: string; readonly bytes: Buffer }[] = []
  for (const api of kafkaApis) {
    for (const version of new Set([api.minVersion, api.maxVersion])) {
      const isFlexible = version >= api.flexibleFrom
      const whole = Buffer.concat(encodeRequest(api, version, 77, 'attack', {}))
      const bodyAt = 4 + 8 + 2 + 6 + (isFlexible ? 1 : 0)
      // At each place of an otherwise lawful request, the largest lengths that fit there.
      for (let at = bodyAt; at < whole.length; at++) {
        for (const huge of isFlexible ? ['ffffffff07', 'ffffffff0f'] : ['7fffffff', '7fff']) {
          const body = Buffer.concat([whole.subarray(4, at), Buffer.from(huge, 'hex')])
          cases.push({ name: `${api.name} version ${version}, ${huge} at ${at - bodyAt}`, bytes: framed(body) })
        }
      }
    }
  }
  const longId = Buffer.concat([int16(3), int16(1), int32(77), int16(0x7fff), Buffer.from('abc')])
  cases.push({ name: 'a client id beyond the frame', bytes: framed(longId) })
  return cases
}

/** Lawful requests without their last bytes. An empty body may be a whole request, a flexible one never is. */
function cutRequests(): readonly { readonly name: string; readonly bytes: Buffer }[] {
  const value = { topics: [{ name: 'some-topic' }, { name: 'another' }], allowAutoTopicCreation: false }
  const whole = Buffer.concat(encodeRequest(metadataApi, metadataApi.maxVersion, 77, 'attack', value)).subarray(4)
  return Array.from({ length: whole.length - 1 }, (_, length) => ({
    name: `Metadata cut to ${length} bytes`,
    bytes: framed(whole.subarray(0, length)),
  }))
}

async function attackHttp(http: string): Promise<void> {
  const attacks: readonly { readonly name: string; readonly bytes: Buffer }[] = [
    { name: 'noise', bytes: randomBytes(2_000) },
    { name: 'endless headers', bytes: Buffer.from(`GET / HTTP/1.1\r\n${'X-Long: y\r\n'.repeat(20_000)}`) },
    { name: 'one endless header', bytes: Buffer.from(`GET / HTTP/1.1\r\nX-Long: ${'y'.repeat(1_000_000)}`) },
    {
      name: 'two lengths',
      bytes: Buffer.from('POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'),
    },
    {
      name: 'an endless body',
      bytes: Buffer.from(
        `POST /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n${'z'.repeat(4_000_000)}`,
      ),
    },
  ]
  await eachAtOnce(attacks, async ({ bytes }) => {
    const client = await RawClient.connect(http)
    client.send(bytes)
    await client.closed(10_000).finally(() => client.destroy())
    assert.match(client.received.toString('latin1'), /^(HTTP\/1\.1 4\d\d |$)/)
  })
  const health = await fetch(`http://${http}/health/ready`)
  assert.equal(health.status, 200)
}
