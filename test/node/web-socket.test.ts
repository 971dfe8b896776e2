import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { ListenOptions, WebSocketOptions } from '../../src/base/ports.ts'
import { type CertificateFiles, CertificateFolder, hasOpenssl } from '../security/certificates.ts'
import { EchoListener } from './listener-probe.ts'

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

const usual: WebSocketOptions = {
  path: '/mqtt',
  allowedOrigins: ['https://panel.example'],
  subProtocols: ['mqtt', 'mqttv3.1'],
  messageBytesMax: 200_000,
  untrustedBytesMax: 131_072,
}

async function open(changes: Partial<WebSocketOptions> = {}, more: ListenOptions = {}): Promise<EchoListener> {
  const listener = new EchoListener()
  closers.push(() => listener.close())
  return listener.open({ webSocket: { ...usual, ...changes }, ...more })
}

interface DialOptions {
  readonly protocols?: string[]
  readonly path?: string
  readonly options?: object
  readonly scheme?: 'ws' | 'wss'
}

function dial(port: number, { protocols = ['mqtt'], path = '/mqtt', options = {}, scheme = 'ws' }: DialOptions = {}) {
  const socket = new WebSocket(`${scheme}://127.0.0.1:${port}${path}`, protocols, options)
  socket.on('error', () => {})
  closers.push(() => socket.terminate())
  return socket
}

/** The status that an upgrade is answered with. */
async function status(socket: WebSocket): Promise<number | 'open'> {
  return new Promise((resolve) => {
    socket.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0))
    socket.on('open', () => resolve('open'))
  })
}

/** Whatever comes back, until it is this long. */
async function answer(socket: WebSocket, length: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  return new Promise((resolve) => {
    socket.on('message', (message: Buffer) => {
      pieces.push(message)
      bytes += message.length
      if (bytes >= length) resolve(Buffer.concat(pieces))
    })
    socket.on('close', () => resolve(Buffer.concat(pieces)))
  })
}

describe('an upgrade', () => {
  it.each([
    [['mqtt'], 'mqtt'],
    [['mqttv3.1'], 'mqttv3.1'],
    [['mqttv3.1', 'mqtt'], 'mqtt'],
    [['soap', 'mqtt'], 'mqtt'],
  ])('of a client that offers %j chooses %s', async (protocols, chosen) => {
    const { port } = await open()
    const socket = dial(port, { protocols })
    expect(await status(socket)).toBe('open')
    expect(socket.protocol).toBe(chosen)
    expect(socket.extensions).toBe('')
  })

  const at = (host: string) => ({ headers: { host } })
  it.each<[string, number | 'open', DialOptions]>([
    ['without a sub-protocol', 400, { protocols: [] }],
    ['with another sub-protocol', 400, { protocols: ['soap', 'xmqtt'] }],
    ['to another path', 404, { path: '/' }],
    ['to the path with a query', 'open', { path: '/mqtt?site=4' }],
    ['from an allowed page', 'open', { options: { origin: 'https://panel.example' } }],
    ['from another page', 403, { options: { origin: 'https://panel.example.evil' } }],
    ['from a page of the same name on another port', 403, { options: { origin: 'https://panel.example:444' } }],
    ['from a page without a name', 403, { options: { origin: 'null' } }],
    ['from our own address', 'open', { options: { origin: 'http://10.0.0.9:80', ...at('10.0.0.9') } }],
    ['from a name that was made to point here', 403, { options: { origin: 'http://evil.test', ...at('evil.test') } }],
    ['of an old version', 'open', { options: { protocolVersion: 8 } }],
  ])('%s is answered %s', async (_, expected, dialled) => {
    const listener = await open()
    expect(await status(dial(listener.port, dialled))).toBe(expected)
    expect(listener.refusals('upgrade')).toBe(expected === 'open' ? 0 : 1)
  })

  it('from any page is well where the configuration says so', async () => {
    const { port } = await open({ allowedOrigins: ['*'] })
    expect(await status(dial(port, { options: { origin: 'http://evil.test' } }))).toBe('open')
  })

  const request = (...lines: string[]): string => [...lines, '', ''].join('\r\n')
  const upgrade = ['GET /mqtt HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket']
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  it.each([
    ['a request that is none', /^HTTP\/1.1 426 /, request('GET /mqtt HTTP/1.1', 'Host: a')],
    ['no HTTP', /^HTTP\/1.1 400 /, Buffer.from('100c00044d515454040200000000', 'hex')],
    ['no key', /^HTTP\/1.1 400 /, request(...upgrade, 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: mqtt')],
    [
      'version 1',
      /^HTTP\/1.1 400 /,
      request(...upgrade, key, 'Sec-WebSocket-Version: 1', 'Sec-WebSocket-Protocol: mqtt'),
    ],
    [
      'names of prototypes',
      /^HTTP\/1.1 101 /,
      request(
        ...upgrade,
        key,
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Protocol: mqtt',
        'Sec-WebSocket-Extensions: __proto__, constructor; toString=1',
      ),
    ],
    [
      'too many headers',
      /^HTTP\/1.1 400 /,
      request(...upgrade, ...Array.from({ length: 2000 }, (_, at) => `X-${at}: ${at}`)),
    ],
  ])('with %s is answered in one line', async (_, expected, bytes) => {
    const { port } = await open()
    const socket = net.connect(port, '127.0.0.1').on('error', () => {})
    closers.push(() => void socket.destroy())
    socket.write(bytes)
    const [first] = await once(socket, 'data')
    expect(String(first)).toMatch(expected)
  })
})

describe('a WebSocket', () => {
  it('is a stream: bytes come as they were sent, whatever the messages and frames', async () => {
    const { port } = await open()
    const socket = dial(port)
    await once(socket, 'open')
    const sent = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7919) & 255))
    const back = answer(socket, sent.length)
    for (let at = 0, size = 1; at < sent.length; size = (size * 3) % 4099) {
      const part = sent.subarray(at, at + size)
      at += part.length
      // Some messages in two frames, the second of them empty.
      const isSplit = size % 2 === 0
      socket.send(part, { fin: !isSplit })
      if (isSplit) socket.send(Buffer.alloc(0), { fin: true })
    }
    expect((await back).equals(sent)).toBe(true)
  })

  it('tells of its peer what a socket would', async () => {
    const listener = await open()
    const socket = dial(listener.port)
    await once(socket, 'open')
    await listener.until(() => listener.accepted.length === 1)
    expect(listener.peers[0]).toMatchObject({ listener: 'door', remoteHost: '127.0.0.1', isEncrypted: false })
  })

  it('answers a ping', async () => {
    const { port } = await open()
    const socket = dial(port)
    await once(socket, 'open')
    socket.ping('are you there')
    expect(String((await once(socket, 'pong'))[0])).toBe('are you there')
  })

  it.each([
    ['a text message ends it', 1003, (socket: WebSocket) => socket.send('text')],
    ['a message beyond its limit ends it', 1009, (socket: WebSocket) => socket.send(Buffer.alloc(200_001))],
    [
      'a message in too many frames ends it',
      1008,
      (socket: WebSocket) => {
        for (let frame = 0; frame < 2000; frame++) socket.send(Buffer.of(1), { fin: false })
      },
    ],
  ])('%s (%i)', async (_, code, misbehave) => {
    const listener = await open()
    const socket = dial(listener.port)
    await once(socket, 'open')
    await listener.until(() => listener.accepted.length === 1)
    listener.accepted[0]?.trust()
    misbehave(socket)
    expect((await once(socket, 'close'))[0]).toBe(code)
    await listener.until(() => listener.ended.length === 1)
  })

  it('of a stranger gathers less than that', async () => {
    const listener = await open()
    const socket = dial(listener.port)
    await once(socket, 'open')
    socket.send(Buffer.alloc(199_999))
    await once(socket, 'close')
    const trusted = dial(listener.port)
    await once(trusted, 'open')
    await listener.until(() => listener.accepted.length === 2)
    listener.accepted[1]?.trust()
    const back = answer(trusted, 199_999)
    trusted.send(Buffer.alloc(199_999))
    expect((await back).length).toBe(199_999)
  })

  it('stands still while it is paused, and loses nothing', async () => {
    const listener = new EchoListener()
    closers.push(() => listener.close())
    const got: Buffer[] = []
    const ended = Promise.withResolvers<void>()
    const { port } = await listener.net.listen(
      'door',
      { host: '127.0.0.1', port: 0 },
      (connection) => {
        connection.start({
          onBytes: (bytes) => {
            got.push(Buffer.from(bytes))
            connection.pause()
            // One message at a time, whatever came with the same read.
            setImmediate(() => connection.resume())
          },
          onClose: () => ended.resolve(),
        })
      },
      { webSocket: usual },
    )
    const socket = dial(port)
    await once(socket, 'open')
    for (let at = 0; at < 100; at++) socket.send(Buffer.of(at))
    socket.close()
    await ended.promise
    expect(Buffer.concat(got).equals(Buffer.from(Array.from({ length: 100 }, (_, at) => at)))).toBe(true)
  })

  it('that is ended says goodbye', async () => {
    const listener = await open()
    const socket = dial(listener.port)
    await once(socket, 'open')
    await listener.until(() => listener.accepted.length === 1)
    listener.accepted[0]?.send([Buffer.from('bye')])
    listener.accepted[0]?.end()
    const said = answer(socket, 3)
    expect((await once(socket, 'close'))[0]).toBe(1000)
    expect(String(await said)).toBe('bye')
    await listener.until(() => listener.ended.length === 1)
    expect(listener.ended).toEqual([null])
  })

  it('works through a PROXY header', async () => {
    const listener = new EchoListener()
    closers.push(() => listener.close())
    await listener.open({ webSocket: usual, proxyProtocol: { from: ['127.0.0.1'] } })
    const agent = new http.Agent()
    agent.createConnection = () => {
      const socket = net.connect(listener.port, '127.0.0.1')
      socket.write('PROXY TCP4 192.0.2.7 192.0.2.1 7 8\r\n')
      return socket
    }
    const socket = dial(listener.port, { options: { agent } })
    await once(socket, 'open')
    socket.send(Buffer.from('hello'))
    expect(String(await answer(socket, 5))).toBe('hello')
    expect(listener.peers[0]?.remoteHost).toBe('192.0.2.7')
  })
})

const folder = new CertificateFolder()
let authority: CertificateFiles
let server: CertificateFiles
let client: CertificateFiles
beforeAll(() => {
  if (!hasOpenssl) return
  authority = folder.authority('authority')
  server = folder.leaf('server', authority)
  client = folder.leaf('client', authority, { subject: '/O=Works/CN=client' })
})
afterAll(() => folder.remove())

describe.skipIf(!hasOpenssl)('a WebSocket over TLS', () => {
  it('passes the certificate of its client on', async () => {
    const listener = new EchoListener()
    closers.push(() => listener.close())
    const context = listener.net.tlsContext('required')
    context.replace({
      certificate: readFileSync(server.certificate),
      key: readFileSync(server.key),
      clientCa: readFileSync(authority.certificate),
    })
    await listener.open({ webSocket: usual, tls: context })
    const options = {
      ca: readFileSync(authority.certificate),
      cert: readFileSync(client.certificate),
      key: readFileSync(client.key),
      servername: 'localhost',
    }
    const socket = dial(listener.port, { scheme: 'wss', options })
    await once(socket, 'open')
    const peer = listener.peers[0]
    expect(peer?.isEncrypted).toBe(true)
    expect(Buffer.from(peer?.certificate ?? []).toString('base64')).toBe(
      readFileSync(client.certificate, 'utf8').replaceAll(/-----[^-]+-----|\s/g, ''),
    )
  })
})
