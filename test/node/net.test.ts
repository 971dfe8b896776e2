import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Connection, Listener, NetError } from '../../src/base/ports.ts'
import { AddOn } from '../../src/node/add-on.ts'
import { NodeNet } from '../../src/node/net.ts'
import { Probe } from './connection-probe.ts'
import { testObserver } from './test-observer.ts'

const deafListener = `
import socket, sys
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen(0)
print(s.getsockname()[1], flush=True)
sys.stdin.read()
`
const hasPython = spawnSync('python3', ['-c', '']).status === 0
if (!hasPython) console.log('skipped: no python3 for a listener that accepts nothing')

const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

function newNet(options: { readonly readByEvents?: boolean; readonly addOn?: AddOn } = {}): NodeNet {
  const port = new NodeNet({ observer: testObserver(), ...options })
  closers.push(() => port.close())
  return port
}

/** A listener that starts each connection with a probe. */
async function listening(port: NodeNet, host = '127.0.0.1', bringsLittle = false) {
  const accepted: { connection: Connection; probe: Probe }[] = []
  let tell: () => void = () => {}
  const onConnection = (connection: Connection): void => {
    const probe = new Probe()
    connection.start(probe)
    accepted.push({ connection, probe })
    tell()
  }
  const listener = await port.listen('kafka', { host, port: 0 }, onConnection, { bringsLittle })
  const next = async (): Promise<{ connection: Connection; probe: Probe }> => {
    while (accepted.length === 0) {
      await new Promise<void>((resolve) => {
        tell = resolve
      })
    }
    return accepted.shift() as { connection: Connection; probe: Probe }
  }
  return { listener, next }
}

/** A foreign client: a plain socket of the platform. */
function client(listener: Listener): net.Socket {
  const socket = net.connect(listener.port, listener.host)
  closers.push(() => void socket.destroy())
  socket.on('error', () => {})
  return socket
}

const text = (content: string): Uint8Array => new TextEncoder().encode(content)

const ways = [
  { way: 'into the common scratch memory', options: {} },
  { way: 'by events', options: { readByEvents: true }, bringsLittle: true },
  { way: 'into the common scratch memory, with sends that leave together', options: { addOn: new AddOn() } },
  { way: 'together with others', options: { addOn: new AddOn() }, bringsLittle: true },
  { way: 'by itself where there is no add-on', options: { addOn: new AddOn({ without: true }) }, bringsLittle: true },
]
for (const { way, options, bringsLittle } of ways) {
  describe(`reading ${way}`, () => {
    it('a connection knows its peer, its own address and its listener', async () => {
      const { listener, next } = await listening(newNet(options), undefined, bringsLittle)
      const socket = client(listener)
      const { connection } = await next()
      if (socket.connecting) await once(socket, 'connect')
      expect(connection.peer).toEqual({
        remoteHost: '127.0.0.1',
        remotePort: socket.localPort,
        localHost: '127.0.0.1',
        localPort: listener.port,
        listener: 'kafka',
        isEncrypted: false,
        certificate: null,
        refusal: null,
        openingMs: expect.any(Number),
      })
    })

    it('bytes come in order and answers go out in order, in one piece per turn', async () => {
      const { listener, next } = await listening(newNet(options), undefined, bringsLittle)
      const socket = client(listener)
      socket.write('one ')
      const { connection, probe } = await next()
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
    })

    it('many connections share the memory of their reads without harm', async () => {
      const { listener, next } = await listening(newNet(options), undefined, bringsLittle)
      const pairs = []
      for (let i = 0; i < 20; i++) {
        const socket = client(listener)
        pairs.push({ socket, ...(await next()) })
      }
      for (let round = 0; round < 20; round++) pairs.forEach(({ socket }, i) => void socket.write(`${i}:${round};`))
      for (const [i, { probe }] of pairs.entries()) {
        const expected = Array.from({ length: 20 }, (_, round) => `${i}:${round};`).join('')
        await probe.until(() => probe.bytes === expected.length)
        expect(probe.text()).toBe(expected)
      }
    })

    it('a large frame lands in the window it was given, small ones around it do not', async () => {
      const { listener, next } = await listening(newNet(options), undefined, bringsLittle)
      const socket = client(listener)
      const { probe } = await next()
      const frame = new Uint8Array(300_000)
      let filled = 0
      const inWindow: number[] = []
      const window = (): Uint8Array | null => (filled > 0 && filled < frame.length ? frame.subarray(filled) : null)
      Object.assign(probe, { window })
      probe.onEach = (bytes) => {
        if (bytes.buffer === frame.buffer) inWindow.push(bytes.length)
        else if (filled < frame.length) frame.set(bytes.subarray(0, frame.length - filled), filled)
        filled = Math.min(frame.length, filled + bytes.length)
      }
      const content = Buffer.alloc(300_000, 'abcdefg')
      socket.write(content.subarray(0, 10))
      await probe.until(() => probe.bytes === 10)
      socket.write(content.subarray(10))
      await probe.until(() => probe.bytes === 300_000)
      expect(Buffer.compare(frame, content)).toBe(0)
      expect(inWindow.reduce((sum, length) => sum + length, 0)).toBeGreaterThan(0)
      const other = client(listener)
      const second = await next()
      other.write('XXXXXXXXXX')
      await second.probe.until(() => second.probe.bytes === 10)
      socket.write('after')
      await probe.until(() => probe.bytes === 300_005)
      expect(Buffer.compare(frame, content)).toBe(0)
      expect(probe.pieces.at(-1)?.toString()).toBe('after')
    })
  })

  describe(`a stream read ${way}`, () => {
    it('a paused connection reads nothing more, and the rest after resume', async () => {
      const { listener, next } = await listening(newNet(options), undefined, bringsLittle)
      const socket = client(listener)
      const { connection, probe } = await next()
      probe.onEach = () => connection.pause()
      const content = Buffer.alloc(8_000_000, '0123456789')
      socket.write(content)
      await probe.until(() => probe.bytes > 0)
      const paused = probe.bytes
      const probeAgain = client(listener)
      await next()
      probeAgain.destroy()
      expect(probe.bytes).toBe(paused)
      probe.onEach = () => {}
      connection.resume()
      await probe.until(() => probe.bytes === content.length)
      expect(Buffer.compare(Buffer.concat(probe.pieces), content)).toBe(0)
    })

    it('a peer that does not read makes send answer false, and onDrain tells when it has read', async () => {
      const { listener, next } = await listening(newNet(options), undefined, bringsLittle)
      const socket = client(listener)
      const { connection, probe } = await next()
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
    })

    it('a peer that ends gets what was queued, then the connection closes without an error', async () => {
      const { listener, next } = await listening(newNet(options), undefined, bringsLittle)
      const socket = client(listener)
      const received: Buffer[] = []
      socket.on('data', (bytes) => received.push(bytes))
      const { connection, probe } = await next()
      socket.write('question')
      await probe.until(() => probe.bytes === 8)
      connection.send([text('answer')])
      socket.end()
      await probe.until(() => probe.closed !== null)
      expect(probe.closed).toEqual({ error: null })
      await once(socket, 'close')
      expect(Buffer.concat(received).toString()).toBe('answer')
      expect(connection.send([text('late')])).toBe(true)
      expect(connection.backlogBytes).toBe(0)
      connection.destroy()
      connection.pause()
      connection.resume()
      connection.end()
    })

    it('a reset is told as an error with its code', async () => {
      const { listener, next } = await listening(newNet(options), undefined, bringsLittle)
      const socket = client(listener)
      const { probe } = await next()
      socket.write('x')
      await probe.until(() => probe.bytes === 1)
      socket.resetAndDestroy()
      await probe.until(() => probe.closed !== null)
      expect(probe.closed?.error).toMatchObject({ name: 'NetError', code: 'ECONNRESET' })
    })

    it('outbound connections work the same way, by name too', async () => {
      const port = newNet(options)
      const { listener, next } = await listening(port, 'localhost', bringsLittle)
      const connection = await port.connect({ host: 'localhost', port: listener.port }, 5000)
      const probe = new Probe()
      expect(connection.peer).toMatchObject({ remotePort: listener.port, listener: 'outbound' })
      const server = await next()
      server.connection.send([text('before start')])
      connection.start(probe)
      connection.send([text('hello')])
      await probe.until(() => probe.bytes === 12)
      await server.probe.until(() => server.probe.bytes === 5)
      connection.destroy()
      await probe.until(() => probe.closed !== null)
      await server.probe.until(() => server.probe.closed !== null)
      expect(server.probe.closed).toEqual({ error: null })
    })
  })
}

describe('listeners', () => {
  it('a taken port, a foreign address and a missing name are told by their codes', async () => {
    const port = newNet()
    const { listener } = await listening(port)
    const ignore = (): void => {}
    await expect(port.listen('kafka', { host: '127.0.0.1', port: listener.port }, ignore)).rejects.toMatchObject({
      name: 'NetError',
      code: 'EADDRINUSE',
    })
    await expect(port.listen('kafka', { host: '192.0.2.1', port: 0 }, ignore)).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
    })
    await listener.close()
    await expect(port.connect({ host: '127.0.0.1', port: listener.port }, 5000)).rejects.toMatchObject({
      name: 'NetError',
      code: 'ECONNREFUSED',
    })
    await expect(port.connect({ host: 'no.such.host.invalid', port: 1 }, 5000)).rejects.toMatchObject({
      name: 'NetError',
      code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) as string,
    })
  })

  it('closing stops new connections and keeps the open ones; the port is free at once', async () => {
    const port = newNet()
    const { listener, next } = await listening(port)
    const socket = client(listener)
    const { probe } = await next()
    await listener.close()
    await listener.close()
    const again = await port.listen('kafka', { host: '127.0.0.1', port: listener.port }, () => {})
    expect(again.port).toBe(listener.port)
    socket.write('still here')
    await probe.until(() => probe.bytes === 10)
    await port.close()
    await probe.until(() => probe.closed !== null)
  })

  it('IPv6 works, and IPv4 that comes in on it is shown as IPv4', async () => {
    const port = newNet()
    let listening6: Awaited<ReturnType<typeof listening>>
    try {
      listening6 = await listening(port, '::')
    } catch {
      console.log('skipped: no IPv6 on this machine')
      return
    }
    const { listener, next } = listening6
    const socket = net.connect(listener.port, '127.0.0.1')
    closers.push(() => void socket.destroy())
    expect((await next()).connection.peer).toMatchObject({ remoteHost: '127.0.0.1', localHost: '127.0.0.1' })
    const six = net.connect(listener.port, '::1')
    closers.push(() => void six.destroy())
    expect((await next()).connection.peer).toMatchObject({ remoteHost: '::1', localHost: '::1' })
  })

  it.skipIf(!hasPython)('an attempt without an answer ends after its time', async () => {
    // The queue of this listener takes one connection, and nobody accepts: the kernel then ignores the next ones.
    const deaf = spawn('python3', ['-c', deafListener], { stdio: ['pipe', 'pipe', 'inherit'] })
    closers.push(() => void deaf.stdin.end())
    const [port] = (await once(deaf.stdout, 'data')).map(Number)
    const attempts = Array.from({ length: 4 }, () => newNet().connect({ host: '127.0.0.1', port: port as number }, 300))
    const outcomes = await Promise.allSettled(attempts)
    expect(
      outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as NetError).code : 'connected')),
    ).toContain('ETIMEDOUT')
  })
})
