/** WebSocket, PROXY headers, limits and enhanced authentication: what stands between a socket and its first MQTT packet. */
import { strict as assert } from 'node:assert'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../interop/headwater.ts'
import { Prng } from '../sim/prng.ts'
import { startBystanders } from './bystanders.ts'
import { startDaemon } from './command.ts'
import { connectPacket, field, MqttTalk, packet, types } from './mqtt-talk.ts'
import { figure } from './figures.ts'
import { assertGrowth, memoryOf } from './process-facts.ts'
import { RawClient } from './raw-client.ts'
import { each, eachAtOnce, type Group, type OpenGroup, type Row, until } from './row.ts'

const mib = 1_048_576
/** Handshakes have ten seconds in all, CONNECT three. */
const openingMs = 10_000
const connectDeadlineMs = 3_000
const limitedMax = 50
/** Connections beyond a limit that are let in to be told so. */
const toldMax = 64
const mutations = figure(1_500, 500_000)
const atOnce = 50

interface Places {
  readonly pid: number
  readonly webSocket: string
  readonly proxied: string
  readonly limited: string
  readonly scram: string
}

export const mqttListeners: Group = {
  name: 'listeners',
  async open(folder): Promise<OpenGroup> {
    const [webSocket, proxied, limited, scram] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ]
    const configFile = join(folder, 'headwater.yaml')
    writeFileSync(
      configFile,
      `listeners:
  dangerouslyAllowUnprotected: true
  mqtt:
    - { listen: "127.0.0.1:0" }
    - { listen: "127.0.0.1:${webSocket}", webSocket: {} }
    - { listen: "127.0.0.1:${proxied}", proxyProtocol: required, proxyProtocolFrom: [127.0.0.1] }
    - { listen: "127.0.0.1:${limited}", connectionsMax: ${limitedMax} }
    - { listen: "127.0.0.1:${scram}", saslMechanisms: [SCRAM-SHA-256] }
mqtt: { connectDeadline: ${connectDeadlineMs}ms, packetMax: 64KiB }
kafka: { group.initial.rebalance.delay.ms: 0, connection.failed.authentication.delay.ms: 1 }
`,
    )
    const daemon = await startDaemon({
      dataDir: join(folder, 'data'),
      configFile,
      mqttPort: null,
      logFile: join(folder, 'daemon.log'),
    })
    const { bystanders, close } = await startBystanders(daemon)
    const at = (port: number): string => `127.0.0.1:${port}`
    const places = {
      pid: daemon.pid,
      webSocket: at(webSocket),
      proxied: at(proxied),
      limited: at(limited),
      scram: at(scram),
    }
    return {
      rows: [...webSocketRows(places), ...proxyRows(places), slowRow(places), limitRow(places), scramRow(places)],
      check: () => bystanders.check(),
      close,
    }
  },
}

// ---------------------------------------------------------------------------------------------------- WebSocket

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

const upgrade = (...more: readonly string[]): Buffer =>
  Buffer.from(
    [
      'GET /mqtt HTTP/1.1',
      'Host: edge',
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Protocol: mqtt',
      ...more,
      '',
      '',
    ].join('\r\n'),
  )

/** A frame of a client, masked with zeros: the payload stands as it is. */
function frame(firstByte: number, payload: Uint8Array, isMasked = true): Buffer {
  const mask = isMasked ? 0x80 : 0
  const { length } = payload
  const head =
    length < 126 ? Buffer.of(firstByte, mask | length) : Buffer.of(firstByte, mask | 126, length >> 8, length)
  return Buffer.concat([head, Buffer.alloc(isMasked ? 4 : 0), payload])
}

async function upgraded(address: string, isDeaf = false): Promise<RawClient> {
  const client = await RawClient.connect(address)
  client.send(upgrade())
  await until(() => client.received.includes('\r\n\r\n') || client.isClosed, 5_000, 'the answer to the upgrade')
  assert.ok(client.received.includes(accept), client.received.toString())
  client.received = Buffer.alloc(0)
  if (isDeaf) client.socket.pause()
  return client
}

const brokenFrames: readonly { readonly name: string; readonly bytes: Buffer }[] = [
  { name: 'text', bytes: frame(0x81, Buffer.from('text')) },
  { name: 'not masked', bytes: frame(0x82, connectPacket(4, 'x'), false) },
  { name: 'reserved bits', bytes: frame(0xf2, connectPacket(4, 'x')) },
  { name: 'compressed', bytes: frame(0xc2, connectPacket(4, 'x')) },
  { name: 'an unknown opcode', bytes: frame(0x83, Buffer.from('x')) },
  { name: 'a continuation of nothing', bytes: frame(0x80, connectPacket(4, 'x')) },
  { name: 'a new message inside one', bytes: Buffer.concat([frame(0x02, Buffer.of(0x10)), frame(0x82, Buffer.of(1))]) },
  { name: 'a ping in parts', bytes: frame(0x09, Buffer.from('x')) },
  { name: 'a ping of 126 bytes', bytes: frame(0x89, Buffer.alloc(126)) },
  { name: 'a length of 2^63', bytes: Buffer.from('82ff7fffffffffffffff00000000', 'hex') },
  { name: 'a length of 2^31', bytes: Buffer.from('82ff000000008000000000000000', 'hex') },
  { name: 'a close of one byte', bytes: frame(0x88, Buffer.of(3)) },
  { name: 'a close with code 5', bytes: frame(0x88, Buffer.of(0, 5)) },
  { name: 'a message that is no MQTT', bytes: frame(0x82, Buffer.from('GET / HTTP/1.1\r\n')) },
]

function webSocketRows({ pid, webSocket }: Places): readonly Row[] {
  return [
    {
      name: 'WebSocket: each broken frame ends its connection',
      run: () =>
        each(brokenFrames, async ({ bytes }) => {
          const client = await upgraded(webSocket)
          client.send(bytes)
          await client.closed().finally(() => client.destroy())
        }),
    },
    {
      name: `WebSocket: ${mutations} mutated upgrades and as many mutated frames hurt nobody`,
      async run() {
        const prng = new Prng(11)
        const whole = Buffer.concat([upgrade('Origin: http://127.0.0.1'), frame(0x82, connectPacket(5, 'x'))])
        await flood(webSocket, mutations, () => mutated(prng, whole))
        const frames = Buffer.concat([
          frame(0x82, connectPacket(5, 'x')),
          frame(0x89, Buffer.from('ping')),
          frame(0x02, Buffer.of(0xc0)),
          frame(0x80, Buffer.of(0)),
        ])
        await flood(webSocket, mutations, () => Buffer.concat([upgrade(), mutated(prng, frames)]))
      },
    },
    {
      name: 'WebSocket: pings of a client that does not read are not answered into memory',
      async run() {
        const before = memoryOf(pid).residentBytes
        const client = await upgraded(webSocket, true)
        client.send(frame(0x82, connectPacket(4, 'attack-pings')))
        const pings = Buffer.concat(Array.from({ length: 1000 }, () => frame(0x89, Buffer.alloc(125))))
        for (let round = 0; round < 800 && !client.isClosed; round++) {
          if (client.socket.write(pings)) continue
          await until(() => !client.socket.writableNeedDrain || client.isClosed, 30_000, 'pings to be taken')
        }
        const grown = memoryOf(pid).residentBytes - before
        client.destroy()
        assertGrowth(grown, 48 * mib)
      },
    },
    {
      name: 'WebSocket: messages in parts of one byte end their connections before they cost memory',
      async run() {
        const before = memoryOf(pid).residentBytes
        const part = frame(0x00, Buffer.of(1))
        const parts = Buffer.concat([frame(0x02, Buffer.of(0x10)), ...Array.from({ length: 20_000 }, () => part)])
        const clients = await Promise.all(Array.from({ length: 60 }, () => upgraded(webSocket)))
        for (const client of clients) client.send(parts)
        for (const client of clients) await client.closed().finally(() => client.destroy())
        const grown = memoryOf(pid).residentBytes - before
        assertGrowth(grown, 96 * mib)
      },
    },
  ]
}

// -------------------------------------------------------------------------------------------------------- PROXY

const line = Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 40000 1883\r\n')
const binary = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000207c63364019c40075b', 'hex')

function proxyRows({ proxied }: Places): readonly Row[] {
  return [
    {
      name: `PROXY: ${mutations} mutated headers hurt nobody, and good ones are served`,
      async run() {
        const prng = new Prng(12)
        const whole = [line, binary].map((header) => Buffer.concat([header, connectPacket(4, 'attack-proxied')]))
        await flood(proxied, mutations, (index) => mutated(prng, whole[index % 2] as Buffer))
        for (const header of [line, binary]) {
          const raw = await RawClient.connect(proxied)
          raw.send(header, connectPacket(4, 'attack-proxied'))
          const answer = await new MqttTalk(raw, 4).read()
          assert.deepEqual([answer.type, answer.body[1]], [types.connack, 0])
          raw.destroy()
        }
      },
    },
    {
      name: 'PROXY: a megabyte that is no header is not kept, and ends its connection at once',
      run: () =>
        each(
          [
            { name: 'a line without an end', bytes: Buffer.concat([Buffer.from('PROXY '), Buffer.alloc(mib, 0x78)]) },
            { name: 'an announced 64 KiB', bytes: Buffer.concat([binary.subarray(0, 14), Buffer.alloc(mib, 0xff)]) },
            { name: 'MQTT', bytes: connectPacket(5, 'x') },
          ],
          async ({ bytes }) => {
            const client = await RawClient.connect(proxied)
            client.send(bytes)
            await client.closed(1_000).finally(() => client.destroy())
          },
        ),
    },
  ]
}

// ------------------------------------------------------------------------------------- time, number, identity

/** Nobody may take longer than the sum of both deadlines, however the bytes come. */
function slowRow({ webSocket, proxied }: Places): Row {
  const cases = [
    { name: 'an upgrade that comes a byte at a time', address: webSocket, bytes: upgrade(), everyMs: 200 },
    { name: 'half an upgrade', address: webSocket, bytes: upgrade().subarray(0, 40), everyMs: 0 },
    { name: 'an upgrade and nothing more', address: webSocket, bytes: upgrade(), everyMs: 0 },
    { name: 'a PROXY line that comes a byte at a time', address: proxied, bytes: line, everyMs: 500 },
    { name: 'half a PROXY header', address: proxied, bytes: binary.subarray(0, 20), everyMs: 0 },
    { name: 'a PROXY header and nothing more', address: proxied, bytes: binary, everyMs: 0 },
  ]
  return {
    name: 'MQTT: slow beginnings of every kind are over in time',
    run: () =>
      eachAtOnce(cases, async ({ address, bytes, everyMs }) => {
        const client = await RawClient.connect(address)
        let sent = 0
        if (everyMs === 0) client.send(bytes)
        const timer = setInterval(() => client.send(bytes.subarray(sent, ++sent)), everyMs === 0 ? 60_000 : everyMs)
        await client.closed(openingMs + connectDeadlineMs + 2_000).finally(() => {
          clearInterval(timer)
          client.destroy()
        })
      }),
  }
}

function limitRow({ pid, limited }: Places): Row {
  return {
    name: `MQTT: of connections beyond a listener's limit ${toldMax} may wait to be told, the others are closed; when they go, new ones are served`,
    async run() {
      const before = memoryOf(pid).residentBytes
      const good = await Promise.all(
        Array.from({ length: limitedMax }, (_, index) => MqttTalk.connect(limited, 5, `attack-limited-${index}`)),
      )
      const surplus = await Promise.all(Array.from({ length: 500 }, () => RawClient.connect(limited)))
      await until(() => surplus.filter(({ isClosed }) => isClosed).length >= 500 - toldMax, 5_000, 'the surplus to go')
      const told = surplus.find(({ isClosed }) => !isClosed)
      assert.ok(told !== undefined)
      const answer = await new MqttTalk(told.send(connectPacket(5, 'attack-told')), 5).read()
      assert.deepEqual([answer.type, answer.body[1]], [types.connack, 0x97])
      for (const client of surplus) client.destroy()
      for (const talk of good) talk.close()
      const grown = memoryOf(pid).residentBytes - before
      assertGrowth(grown, 48 * mib)
      let served: MqttTalk | null = null
      await until(
        async () => {
          served = await MqttTalk.connect(limited, 5, 'attack-after').catch(() => null)
          return served !== null
        },
        5_000,
        'a new connection to be served',
      )
      ;(served as MqttTalk | null)?.close()
    },
  }
}

function scramRow({ scram }: Places): Row {
  const methodIs = Buffer.concat([Buffer.of(0x15), field('SCRAM-SHA-256')])
  const dataIs = (data: string): Buffer => Buffer.concat([Buffer.of(0x16), field(data)])
  const begin = connectPacket(5, 'attack-scram', { properties: [methodIs, dataIs('n,,n=mallory,r=nonce')] })
  const list = Buffer.concat([methodIs, dataIs('c=biws,r=nonce,p=AAAA')])
  const answer = packet(0xf0, Buffer.of(0x18), Buffer.of(list.length), list)
  return {
    name: 'MQTT: 300 mutated exchanges of enhanced authentication let nobody in',
    async run() {
      const prng = new Prng(13)
      for (let done = 0; done < 300; done += atOnce) {
        await Promise.all(
          Array.from({ length: atOnce }, async (_, index) => {
            const client = await RawClient.connect(scram)
            client.send(index % 2 === 0 ? Buffer.concat([begin, mutated(prng, answer)]) : mutated(prng, begin), answer)
            await client.closed(connectDeadlineMs + 2_000).finally(() => client.destroy())
            assert.ok(!isLetIn(client.received), client.received.toString('hex'))
          }),
        )
      }
    },
  }
}

/** Is there a CONNACK of success among the packets? They are short: their length is one byte. */
function isLetIn(received: Buffer): boolean {
  for (let at = 0; at + 3 < received.length; at += 2 + (received[at + 1] as number)) {
    if ((received[at] as number) >>> 4 === types.connack) return received[at + 3] === 0
  }
  return false
}

// ------------------------------------------------------------------------------------------------------ tools

/** Sends each stream on a connection of its own; ends it when the daemon has answered, closed, or had its time. */
async function flood(address: string, count: number, stream: (index: number) => Buffer): Promise<void> {
  for (let done = 0; done < count; done += atOnce) {
    await Promise.all(
      Array.from({ length: atOnce }, async (_, index) => {
        const client = await RawClient.connect(address)
        client.send(stream(done + index))
        client.socket.end()
        await client.closed(openingMs + connectDeadlineMs).finally(() => client.destroy())
      }),
    )
  }
}

/** One to four changes: a bit, a byte, a part left out, repeated or moved. */
function mutated(prng: Prng, original: Buffer): Buffer {
  let bytes = Buffer.from(original)
  for (let changes = 1 + prng.below(4); changes > 0; changes--) {
    const at = prng.below(bytes.length)
    const length = 1 + prng.below(16)
    const kind = prng.below(5)
    if (kind === 0) bytes[at] = (bytes[at] as number) ^ (1 << prng.below(8))
    else if (kind === 1) bytes[at] = prng.below(256)
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    else bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(length, prng.below(256)), bytes.subarray(at)])
    if (bytes.length === 0) bytes = Buffer.of(0)
  }
  return bytes
}
