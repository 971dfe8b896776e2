import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ListenerGate, ListenerPass, ListenOptions } from '../../src/base/ports.ts'
import { type CertificateFiles, CertificateFolder, hasOpenssl } from '../security/certificates.ts'
import { EchoListener } from './listener-probe.ts'

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** Remembers who came and who went. */
class Gate implements ListenerGate {
  readonly entered: string[] = []
  left = 0
  verdict: Omit<ListenerPass, 'leave'> | null = { refusal: null, waitMs: 0 }
  #wake: () => void = () => {}

  enter(remoteHost: string): ListenerPass | null {
    this.entered.push(remoteHost)
    const leave = (): void => {
      this.left++
      this.#wake()
    }
    return this.verdict === null ? null : { ...this.verdict, leave }
  }

  async untilLeft(count: number): Promise<void> {
    while (this.left < count) await new Promise<void>((resolve) => (this.#wake = resolve))
  }
}

async function open(gate: Gate, options: ListenOptions = {}, readByEvents = false): Promise<EchoListener> {
  const listener = new EchoListener(readByEvents)
  closers.push(() => listener.close())
  return listener.open({ ...options, gate })
}

function dial(port: number): net.Socket {
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  closers.push(() => void socket.destroy())
  return socket
}

describe.each([false, true])('a gate (reading by events: %s)', (readByEvents) => {
  it('is told of each connection once when it comes and once when it goes', async () => {
    const gate = new Gate()
    const listener = await open(gate, {}, readByEvents)
    const sockets = [dial(listener.port), dial(listener.port)]
    await listener.until(() => listener.accepted.length === 2)
    expect([gate.entered, gate.left]).toEqual([['127.0.0.1', '127.0.0.1'], 0])
    sockets[0]?.destroy()
    await gate.untilLeft(1)
    listener.accepted[1]?.destroy()
    await gate.untilLeft(2)
    expect(gate.left).toBe(2)
  })
})

describe('a gate', () => {
  it('closes whom it does not let in', async () => {
    const gate = new Gate()
    gate.verdict = null
    const listener = await open(gate)
    await once(dial(listener.port).resume(), 'close')
    expect([listener.accepted.length, gate.left]).toEqual([0, 0])
  })

  it('makes a connection wait, and one that has gone meanwhile is forgotten in its turn', async () => {
    const gate = new Gate()
    gate.verdict = { refusal: null, waitMs: 100 }
    const listener = await open(gate)
    const gone = dial(listener.port)
    await once(gone, 'connect')
    gone.destroy()
    await gate.untilLeft(1)
    const socket = dial(listener.port)
    socket.write('hello')
    expect(String((await once(socket, 'data'))[0])).toBe('hello')
    socket.destroy()
    await gate.untilLeft(2)
  })

  it('says what it has against a connection that it lets in', async () => {
    const gate = new Gate()
    gate.verdict = { refusal: 'rate', waitMs: 0 }
    const listener = await open(gate)
    dial(listener.port)
    await listener.until(() => listener.accepted.length === 1)
    expect(listener.peers[0]?.refusal).toBe('rate')
  })

  it('is asked about the client behind a PROXY header', async () => {
    const gate = new Gate()
    const listener = await open(gate, { proxyProtocol: { from: ['127.0.0.1'] } })
    dial(listener.port).write('PROXY TCP4 192.0.2.7 192.0.2.1 7 8\r\n')
    await listener.until(() => listener.accepted.length === 1)
    expect(gate.entered).toEqual(['192.0.2.7'])
  })
})

const folder = new CertificateFolder()
let server: CertificateFiles
beforeAll(() => {
  if (hasOpenssl) server = folder.leaf('server', folder.authority('authority'))
})
afterAll(() => folder.remove())

describe.skipIf(!hasOpenssl)('a gate in front of TLS', () => {
  it('counts a connection before its handshake, and until its end', async () => {
    const gate = new Gate()
    const listener = new EchoListener()
    closers.push(() => listener.close())
    const context = listener.net.tlsContext('none')
    context.replace({ certificate: readFileSync(server.certificate), key: readFileSync(server.key), clientCa: null })
    await listener.open({ gate, tls: context })
    const silent = dial(listener.port)
    await once(silent, 'connect')
    const socket = tls.connect({ host: '127.0.0.1', port: listener.port, rejectUnauthorized: false })
    closers.push(() => void socket.destroy())
    await once(socket, 'secureConnect')
    expect([gate.entered.length, gate.left]).toEqual([2, 0])
    silent.destroy()
    await gate.untilLeft(1)
    socket.destroy()
    await gate.untilLeft(2)
  })
})
