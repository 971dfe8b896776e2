import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Connection, ListenOptions, TlsClientAuth } from '../../src/base/ports.ts'
import { NodeNet } from '../../src/node/net.ts'
import { CertificateFolder, type CertificateFiles, hasOpenssl } from '../security/certificates.ts'
import { Probe } from './connection-probe.ts'
import { SimObserver } from '../sim/sim-observer.ts'

const folder = new CertificateFolder()
const closers: (() => Promise<void> | void)[] = []
let authority: CertificateFiles
let server: CertificateFiles
let stranger: CertificateFiles

beforeAll(() => {
  if (!hasOpenssl) return
  authority = folder.authority('authority')
  server = folder.leaf('server', authority)
  stranger = folder.leaf('stranger', folder.authority('elsewhere'))
})
afterAll(() => folder.remove())
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** A TLS listener that starts each connection with a probe. */
async function listening(readByEvents: boolean, clientAuth: TlsClientAuth = 'none', options: ListenOptions = {}) {
  const waiters: (() => void)[] = []
  const observer = new SimObserver(
    () => 0,
    () => waiters.splice(0).forEach((wake) => wake()),
  )
  const told = async (event: string): Promise<unknown> => {
    while (observer.eventsOf(event).length === 0) await new Promise<void>((resolve) => waiters.push(resolve))
    return observer.eventsOf(event)[0]?.fields
  }
  const port = new NodeNet({ observer, readByEvents })
  closers.push(() => port.close())
  const context = port.tlsContext(clientAuth)
  context.replace({
    certificate: readFileSync(server.certificate),
    key: readFileSync(server.key),
    clientCa: clientAuth === 'none' ? null : readFileSync(authority.certificate),
  })
  const accepted: { connection: Connection; probe: Probe }[] = []
  let tell: () => void = () => {}
  const listener = await port.listen(
    'kafka',
    { host: '127.0.0.1', port: 0 },
    (connection) => {
      const probe = new Probe()
      accepted.push({ connection, probe })
      connection.start(probe)
      tell()
    },
    { ...options, tls: context },
  )
  const next = async (): Promise<{ connection: Connection; probe: Probe }> => {
    while (accepted.length === 0) await new Promise<void>((resolve) => (tell = resolve))
    return accepted.shift() as { connection: Connection; probe: Probe }
  }
  return { context, listener, next, observer, port, told }
}

/** A foreign client with its handshake behind it, and the socket below. */
async function dial(port: number, options: tls.ConnectionOptions = {}) {
  const below = net.connect(port, '127.0.0.1').on('error', () => {})
  const socket = tls.connect({ socket: below, rejectUnauthorized: false, ...options }).on('error', () => {})
  closers.push(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return { socket, below }
}

const text = (content: string): Uint8Array => new TextEncoder().encode(content)

describe.skipIf(!hasOpenssl).each([
  ['without sockets', false],
  ['with sockets', true],
])('a connection over TLS %s', (_way, readByEvents) => {
  async function opened() {
    const { listener, next } = await listening(readByEvents)
    return { ...(await dial(listener.port)), ...(await next()), listener, next }
  }

  it('knows its peer, its own address and its listener', async () => {
    const { connection, below, listener } = await opened()
    expect(connection.peer).toEqual({
      remoteHost: '127.0.0.1',
      remotePort: below.localPort,
      localHost: '127.0.0.1',
      localPort: listener.port,
      listener: 'kafka',
      isEncrypted: true,
      certificate: null,
      refusal: null,
      openingMs: expect.any(Number),
    })
  })

  it('hears bytes in order and answers in order, in one record per turn', async () => {
    const { connection, probe, socket } = await opened()
    socket.write('one ')
    socket.write('two')
    await probe.until(() => probe.bytes === 7)
    expect(probe.text()).toBe('one two')
    const answers: Buffer[] = []
    socket.on('data', (bytes) => answers.push(bytes))
    connection.send([text('a'), text('bc')])
    connection.send([text('d'), new Uint8Array(0)])
    await Promise.resolve().then(() => connection.send([text('e')]))
    connection.end()
    await once(socket, 'end')
    expect(answers.map(String)).toEqual(['abcde'])
    await probe.until(() => probe.closed !== null)
    expect(probe.closed).toEqual({ error: null })
  })

  it('may answer in the moment in which it is taken', async () => {
    const { listener, port } = await listening(readByEvents)
    const context = port.tlsContext('none')
    context.replace({ certificate: readFileSync(server.certificate), key: readFileSync(server.key), clientCa: null })
    const greeter = await port.listen(
      'mqtt',
      { host: '127.0.0.1', port: 0 },
      (connection) => {
        connection.start({ onBytes: () => {}, onClose: () => {} })
        connection.send([text('hello')])
        connection.end()
      },
      { tls: context },
    )
    expect(greeter.port).not.toBe(listener.port)
    const { socket } = await dial(greeter.port)
    expect(String((await once(socket, 'data'))[0])).toBe('hello')
  })

  it('fills the window of a large frame, and nothing around it', async () => {
    const { probe, socket, listener, next } = await opened()
    const frame = new Uint8Array(300_000)
    let filled = 0
    let inWindow = 0
    Object.assign(probe, {
      window: (): Uint8Array | null => (filled > 0 && filled < frame.length ? frame.subarray(filled) : null),
    })
    probe.onEach = (bytes) => {
      if (bytes.buffer === frame.buffer) inWindow += bytes.length
      else if (filled < frame.length) frame.set(bytes.subarray(0, frame.length - filled), filled)
      filled = Math.min(frame.length, filled + bytes.length)
    }
    const content = Buffer.alloc(300_000, 'abcdefg')
    socket.write(content.subarray(0, 10))
    await probe.until(() => probe.bytes === 10)
    socket.write(content.subarray(10))
    await probe.until(() => probe.bytes === 300_000)
    expect(Buffer.compare(frame, content)).toBe(0)
    expect(inWindow).toBe(299_990)
    const other = await dial(listener.port)
    const second = await next()
    other.socket.write('XXXXXXXXXX')
    await second.probe.until(() => second.probe.bytes === 10)
    socket.write('after')
    await probe.until(() => probe.bytes === 300_005)
    expect(Buffer.compare(frame, content)).toBe(0)
    expect(probe.pieces.at(-1)?.toString()).toBe('after')
  })

  it('says nothing while it is paused, not even the end, and all of it after resume', async () => {
    const { connection, probe, socket, listener, next } = await opened()
    connection.pause()
    // Several records and the last word: one read brings them all.
    const content = Buffer.alloc(50_000, '0123456789')
    socket.end(content)
    await once(socket, 'finish')
    probe.onEach = () => connection.pause()
    connection.resume()
    await probe.until(() => probe.bytes > 0)
    const other = await dial(listener.port)
    const second = await next()
    other.socket.write('meanwhile')
    await second.probe.until(() => second.probe.bytes === 9)
    expect([probe.pieces.length, probe.closed]).toEqual([1, null])
    const answers: Buffer[] = []
    socket.on('data', (bytes) => answers.push(bytes))
    probe.onEach = (bytes) => void connection.send([text(`${bytes.length} `)])
    connection.resume()
    await probe.until(() => probe.closed !== null)
    if (!socket.closed) await once(socket, 'close')
    const answered = Buffer.concat(answers).toString().trim().split(' ').map(Number)
    expect(answered).toEqual(probe.pieces.slice(1).map(({ length }) => length))
    expect(Buffer.compare(Buffer.concat(probe.pieces), content)).toBe(0)
    expect(probe.closed).toEqual({ error: null })
  })

  it('paused again and again brings every byte once, in order', async () => {
    const { connection, probe, socket } = await opened()
    probe.onEach = () => {
      connection.pause()
      setImmediate(() => connection.resume())
    }
    const content = Buffer.from(Uint8Array.from({ length: 3_000_000 }, (_, at) => (at * 7 + (at >> 8)) & 255))
    socket.write(content)
    await probe.until(() => probe.bytes === content.length)
    expect(Buffer.compare(Buffer.concat(probe.pieces), content)).toBe(0)
  })

  // A server of Node gives its TLS sockets no mark of ours.
  it.skipIf(readByEvents)(
    'whose peer does not read makes send answer false, and onDrain tells when it has read',
    async () => {
      const { connection, probe, socket } = await opened()
      socket.pause()
      const chunk = new Uint8Array(256 * 1024)
      let sent = 0
      do sent += chunk.length
      while (connection.send([chunk]) && sent < 100_000_000)
      expect(connection.backlogBytes).toBeGreaterThanOrEqual(1024 * 1024)
      expect(probe.drains).toBe(0)
      let received = 0
      socket.on('data', (bytes) => {
        received += bytes.length
      })
      socket.resume()
      await probe.until(() => probe.drains === 1)
      expect(connection.backlogBytes).toBe(0)
      connection.end()
      await once(socket, 'end')
      expect(received).toBe(sent)
    },
  )

  it('whose peer ends gives it what was queued, then closes without an error', async () => {
    const { connection, probe, socket } = await opened()
    const received: Buffer[] = []
    socket.on('data', (bytes) => received.push(bytes))
    socket.write('question')
    await probe.until(() => probe.bytes === 8)
    connection.send([text('answer')])
    socket.end()
    await probe.until(() => probe.closed !== null)
    expect(probe.closed).toEqual({ error: null })
    if (!socket.closed) await once(socket, 'close')
    expect(Buffer.concat(received).toString()).toBe('answer')
    expect(connection.send([text('late')])).toBe(true)
    expect(connection.backlogBytes).toBe(0)
    connection.destroy()
    connection.pause()
    connection.resume()
    connection.end()
  })

  it('tells a reset as an error with its code', async () => {
    const { probe, socket, below } = await opened()
    socket.write('x')
    await probe.until(() => probe.bytes === 1)
    below.resetAndDestroy()
    await probe.until(() => probe.closed !== null)
    expect(probe.closed?.error).toMatchObject({ name: 'NetError', code: 'ECONNRESET' })
  })

  it('is closed with its port', async () => {
    const { listener, next, port } = await listening(readByEvents)
    const { socket } = await dial(listener.port)
    const { probe } = await next()
    await port.close()
    await probe.until(() => probe.closed !== null)
    if (!socket.closed) await once(socket, 'close')
  })

  it('goes on as it was in a later one of the same client, until the certificate is another', async () => {
    const { listener, context } = await listening(readByEvents)
    const { socket } = await dial(listener.port)
    const [session] = (await once(socket, 'session')) as [Buffer]
    expect((await dial(listener.port, { session })).socket.isSessionReused()).toBe(true)
    context.replace({ certificate: readFileSync(server.certificate), key: readFileSync(server.key), clientCa: null })
    expect((await dial(listener.port, { session })).socket.isSessionReused()).toBe(false)
  })

  // Node's sockets tell an early end when the time is up.
  const failures: [string, (below: net.Socket) => void, RegExp][] = [
    ['no TLS', (below) => void below.write('GET / HTTP/1.1\r\n\r\n'), /^ERR_SSL_/],
    ['a reset', (below) => void below.resetAndDestroy(), /^ECONNRESET$/],
  ]
  if (!readByEvents) failures.push(['an end', (below) => void below.end(), /^ECONNRESET$/])
  it.each(failures)('that brings %s instead of a handshake is told as a failed one', async (_what, act, reason) => {
    const { listener, observer, told } = await listening(readByEvents)
    const below = net.connect(listener.port, '127.0.0.1').on('error', () => {})
    closers.push(() => void below.destroy())
    await once(below, 'connect')
    act(below)
    const fields = { listener: 'kafka', client: '127.0.0.1', reason: expect.stringMatching(reason) as string }
    expect(await told('tls-handshake-failed')).toMatchObject(fields)
    expect(observer.figure('headwater_tls_handshakes_failed_total', { listener: 'kafka' })).toBe(1)
  })

  const refusals: [TlsClientAuth, string, RegExp][] = [
    ['required', 'missing', /CERTIFICATE/],
    ['requested', 'bad', /^UNABLE_TO|^DEPTH_ZERO/],
    ['required', 'bad', /^UNABLE_TO|^DEPTH_ZERO/],
  ]
  it.each(refusals)('whose client certificate is %s and %s is told as failed', async (auth, what, reason) => {
    const { listener, observer, told } = await listening(readByEvents, auth)
    const shown = what === 'bad' ? { cert: readFileSync(stranger.certificate), key: readFileSync(stranger.key) } : {}
    const socket = tls.connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false, ...shown })
    closers.push(() => void socket.destroy())
    socket.on('error', () => {})
    const fields = { reason: expect.stringMatching(reason) as string }
    expect(await told('tls-handshake-failed')).toMatchObject(fields)
    expect(observer.figure('headwater_tls_handshakes_failed_total', { listener: 'kafka' })).toBe(1)
  })
})

describe.skipIf(!hasOpenssl)('an accepted connection over TLS', () => {
  it('is no socket of Node: two of them cost as much as a fifth of its handshake', async () => {
    let sockets = 0
    const count = (): void => void sockets++
    diagnostics.subscribe('net.server.socket', count)
    closers.push(() => void diagnostics.unsubscribe('net.server.socket', count))
    const { listener, next } = await listening(false)
    await dial(listener.port)
    await next()
    expect(sockets).toBe(0)
  })

  it('is asked for a sign of life when it is silent', async () => {
    const { listener, next } = await listening(false)
    const { below } = await dial(listener.port)
    const { connection } = await next()
    expect(connection.peer.remotePort).toBe(below.localPort)
    await expect.poll(() => timerOf(listener.port, below.localPort ?? 0)).toBe(keepAliveTimer)
  })

  it('behind a PROXY header that shows a bad certificate is told with the client that the header names', async () => {
    const { listener, told } = await listening(false, 'required', { proxyProtocol: { from: ['127.0.0.1'] } })
    const below = net.connect(listener.port, '127.0.0.1').on('error', () => {})
    below.write('PROXY TCP4 192.0.2.7 192.0.2.1 7 8\r\n')
    const shown = { cert: readFileSync(stranger.certificate), key: readFileSync(stranger.key) }
    const socket = tls.connect({ socket: below, rejectUnauthorized: false, ...shown }).on('error', () => {})
    closers.push(() => void socket.destroy())
    const reason = expect.stringMatching(/^UNABLE_TO|^DEPTH_ZERO/) as string
    expect(await told('tls-handshake-failed')).toMatchObject({ client: '192.0.2.7', reason })
  })
})

/** As the kernel tells it (proc(5), `/proc/net/tcp`). */
const keepAliveTimer = '02'

/** Which timer runs for a connection of this machine, seen from our side. */
function timerOf(localPort: number, remotePort: number): string | undefined {
  const ends = [localPort, remotePort].map((port) => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`)
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n')
  const fields = lines
    .map((line) => line.trim().split(/\s+/))
    .find((each) => each[1] === ends[0] && each[2] === ends[1])
  return fields?.[5]?.slice(0, 2)
}
