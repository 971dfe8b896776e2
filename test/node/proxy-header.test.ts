import { readFileSync } from 'node:fs'
import net from 'node:net'
import { once } from 'node:events'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { crc32cScript } from '../../src/base/crc32c.ts'
import { proxyHeaderBytesMax, readProxyHeader } from '../../src/node/proxy-header.ts'
import { type CertificateFiles, CertificateFolder, hasOpenssl } from '../security/certificates.ts'
import { EchoListener } from './listener-probe.ts'

const signature = '0d0a0d0a000d0a515549540a'

/** Version 2, written out by hand: command byte, family byte, what follows the length. */
function binary(command: string, family: string, rest: string): Buffer {
  const body = Buffer.from(rest, 'hex')
  const length = body.length.toString(16).padStart(4, '0')
  return Buffer.concat([Buffer.from(`${signature}${command}${family}${length}`, 'hex'), body])
}

const ipv4 = 'c0a80107c0a801fe' + 'd431' + '075b'
const ipv6 = `20010db8${'0'.repeat(22)}07${'20010db8'.padEnd(32, '0')}d431075b`

/** A header with a checksum extension, right or not. */
function withChecksum(change: number): Buffer {
  const header = binary('21', '11', `${ipv4}030004${'00000000'}`)
  header.writeUInt32BE((crc32cScript(header) ^ change) >>> 0, header.length - 4)
  return header
}

describe('a PROXY header', () => {
  it.each([
    ['v1, IPv4', Buffer.from('PROXY TCP4 192.168.1.7 192.168.1.254 54321 1883\r\n'), ['192.168.1.7', 54321]],
    ['v1, IPv6', Buffer.from('PROXY TCP6 2001:db8::7 2001:db8:0::1 54321 1883\r\n'), ['2001:db8::7', 54321]],
    ['v1, IPv6 in another spelling', Buffer.from('PROXY TCP6 2001:DB8:0:0:0::7 ::1 1 2\r\n'), ['2001:db8::7', 1]],
    ['v2, IPv4', binary('21', '11', ipv4), ['192.168.1.7', 54321]],
    ['v2, IPv6', binary('21', '21', ipv6), ['2001:db8::7', 54321]],
    ['v2 with an extension', binary('21', '11', `${ipv4}02000361626301000163`), ['192.168.1.7', 54321]],
    ['v2 with its checksum', withChecksum(0), ['192.168.1.7', 54321]],
    ['v1, unknown', Buffer.from('PROXY UNKNOWN whatever follows\r\n'), null],
    ['v2, the proxy itself', binary('20', '00', ''), null],
    ['v2, the proxy itself, with addresses', binary('20', '11', ipv4), null],
    ['v2, of a Unix socket', binary('21', '31', '00'.repeat(216)), null],
    ['v2, unspecified', binary('21', '00', ''), null],
  ])('says whose the stream is: %s', (_, header, peer) => {
    const verdict = readProxyHeader(Buffer.concat([header, Buffer.from('behind')]))
    if (verdict.kind !== 'read') throw new Error(JSON.stringify(verdict))
    expect(verdict.length).toBe(header.length)
    expect(verdict.peer === null ? null : [verdict.peer.remoteHost, verdict.peer.remotePort]).toEqual(peer)
    // Cut short anywhere it is not finished, and never bad.
    for (let length = 0; length < header.length; length++) {
      expect(readProxyHeader(header.subarray(0, length))).toEqual({ kind: 'incomplete' })
    }
  })

  it.each([
    ['CONNECT of MQTT', Buffer.from('100c00044d515454040200', 'hex')],
    ['no signature to its end', Buffer.from('0d0a0d0a000d0a51554954ff', 'hex')],
    ['v1 without addresses', Buffer.from('PROXY TCP4\r\n')],
    ['v1 of another family', Buffer.from('PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n')],
    ['v1 with the other family’s address', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['v1 with a name', Buffer.from('PROXY TCP4 localhost 1.2.3.4 1 2\r\n')],
    ['v1 with a port too large', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n')],
    ['v1 with a port in octal', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 010 2\r\n')],
    ['v1 with more words', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n')],
    ['v1 without an end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(100)}`)],
    ['v2 of version 1', binary('11', '11', ipv4)],
    ['v2 with another command', binary('22', '11', ipv4)],
    ['v2 for datagrams', binary('21', '12', ipv4)],
    ['v2 with addresses cut off', binary('21', '11', ipv4.slice(0, -2))],
    ['v2 with an extension cut off', binary('21', '11', `${ipv4}0200ff61`)],
    ['v2 with a wrong checksum', withChecksum(1)],
    ['v2 longer than its limit', binary('21', '11', ipv4 + '00'.repeat(proxyHeaderBytesMax))],
  ])('is refused: %s', (_, header) => {
    expect(readProxyHeader(header)).toMatchObject({ kind: 'bad' })
  })
})

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function behindProxy(from: readonly string[], options: { readByEvents?: boolean } = {}): Promise<EchoListener> {
  const listener = new EchoListener(options.readByEvents ?? false)
  closers.push(() => listener.close())
  return listener.open({ proxyProtocol: { from } })
}

function dial(port: number): net.Socket {
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  closers.push(() => void socket.destroy())
  return socket
}

async function answer(socket: net.Socket, length: number): Promise<string> {
  let text = ''
  for await (const bytes of socket) {
    text += String(bytes)
    if (text.length >= length) return text
  }
  return text
}

describe.each([false, true])('a listener behind a proxy (reading by events: %s)', (readByEvents) => {
  it('takes the address of the header, and every byte behind it', async () => {
    const listener = await behindProxy(['127.0.0.0/8'], { readByEvents })
    const socket = dial(listener.port)
    socket.write(Buffer.concat([binary('21', '11', ipv4), Buffer.from('hello')]))
    expect(await answer(socket, 5)).toBe('hello')
    expect(listener.peers[0]).toMatchObject({ remoteHost: '192.168.1.7', remotePort: 54321, localPort: 1883 })
  })

  it('reads a header that comes byte by byte', async () => {
    const listener = await behindProxy(['127.0.0.1'], { readByEvents })
    const socket = dial(listener.port)
    await once(socket, 'connect')
    socket.setNoDelay(true)
    for (const byte of Buffer.from('PROXY TCP4 192.168.1.7 192.168.1.254 54321 1883\r\nhel')) {
      await new Promise((resolve) => socket.write(Buffer.of(byte), resolve))
    }
    await listener.until(() => listener.accepted.length === 1)
    socket.write('lo')
    expect(await answer(socket, 5)).toBe('hello')
    expect(listener.peers[0]?.remoteHost).toBe('192.168.1.7')
  })

  it('closes a stream without a header, counted', async () => {
    const listener = await behindProxy(['127.0.0.1'], { readByEvents })
    const socket = dial(listener.port)
    socket.write(Buffer.from('100c00044d51545404020000', 'hex'))
    await once(socket, 'close')
    expect(listener.accepted).toEqual([])
    expect(listener.refusals('proxy')).toBe(1)
  })
})

describe('a listener behind a proxy', () => {
  it('believes nobody else, whatever the header says', async () => {
    const listener = await behindProxy(['10.0.0.0/8', '2001:db8::/32'])
    const socket = dial(listener.port)
    socket.write(binary('21', '11', ipv4))
    await once(socket, 'close')
    expect(listener.accepted).toEqual([])
    expect(listener.refusals('proxy_source')).toBe(1)
  })

  it('keeps the address of the proxy where the connection is its own', async () => {
    const listener = await behindProxy(['127.0.0.1'])
    const socket = dial(listener.port)
    socket.write(Buffer.concat([binary('20', '00', ''), Buffer.from('hello')]))
    expect(await answer(socket, 5)).toBe('hello')
    expect(listener.peers[0]?.remoteHost).toBe('127.0.0.1')
  })
})

const folder = new CertificateFolder()
let authority: CertificateFiles
let server: CertificateFiles
beforeAll(() => {
  if (!hasOpenssl) return
  authority = folder.authority('authority')
  server = folder.leaf('server', authority)
})
afterAll(() => folder.remove())

describe.skipIf(!hasOpenssl)('a TLS listener behind a proxy', () => {
  it.each([false, true])('reads the header before the handshake (in one piece with it: %s)', async (isOnePiece) => {
    const listener = new EchoListener()
    closers.push(() => listener.close())
    const context = listener.net.tlsContext('none')
    context.replace({ certificate: readFileSync(server.certificate), key: readFileSync(server.key), clientCa: null })
    await listener.open({ tls: context, proxyProtocol: { from: ['127.0.0.1'] } })
    const below = dial(listener.port)
    await once(below, 'connect')
    if (isOnePiece) below.cork()
    below.write(binary('21', '11', ipv4))
    const socket = tls.connect({ socket: below, ca: readFileSync(authority.certificate), servername: 'localhost' })
    if (isOnePiece) setImmediate(() => below.uncork())
    await once(socket, 'secureConnect')
    socket.write('hello')
    expect(await answer(socket, 5)).toBe('hello')
    expect(listener.peers[0]).toMatchObject({ remoteHost: '192.168.1.7', isEncrypted: true })
  })
})
