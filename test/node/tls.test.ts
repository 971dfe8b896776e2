import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Connection, TlsClientAuth, TlsMaterial } from '../../src/base/ports.ts'
import { NodeNet } from '../../src/node/net.ts'
import { CertificateFolder, type CertificateFiles, hasOpenssl } from '../security/certificates.ts'
import { testObserver } from './test-observer.ts'

const folder = new CertificateFolder()
let authority: CertificateFiles
let server: CertificateFiles
let renewed: CertificateFiles
let client: CertificateFiles
let stranger: CertificateFiles
const closers: (() => Promise<void> | void)[] = []

beforeAll(() => {
  if (!hasOpenssl) return
  authority = folder.authority('authority')
  server = folder.leaf('server', authority)
  renewed = folder.leaf('renewed', authority)
  client = folder.leaf('client', authority, { subject: '/O=Works/CN=client' })
  stranger = folder.leaf('stranger', folder.authority('elsewhere'))
})
afterAll(() => folder.remove())
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

const material = (files: CertificateFiles, clientCa: CertificateFiles | null = null): TlsMaterial => ({
  certificate: readFileSync(files.certificate),
  key: readFileSync(files.key),
  clientCa: clientCa === null ? null : readFileSync(clientCa.certificate),
})

/** Without sockets of Node where it can be, or with them. */
let readByEvents = false

/** A listener that sends back what it gets. */
async function echo(clientAuth: TlsClientAuth = 'none') {
  const net = new NodeNet({ observer: testObserver(), readByEvents })
  closers.push(() => net.close())
  const context = net.tlsContext(clientAuth)
  context.replace(material(server, clientAuth === 'none' ? null : authority))
  const accepted: Connection[] = []
  const listener = await net.listen(
    'kafka',
    { host: '127.0.0.1', port: 0 },
    (connection) => {
      accepted.push(connection)
      connection.start({
        onBytes: (bytes) => void connection.send([Uint8Array.from(bytes)]),
        onClose: () => {},
      })
    },
    { tls: context },
  )
  return { context, accepted, port: listener.port }
}

async function dial(port: number, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    ca: readFileSync(authority.certificate),
    servername: 'localhost',
    ...options,
  })
  closers.push(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** What comes back for what is sent, or `closed`. */
async function said(socket: tls.TLSSocket, text: string): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString()))
    socket.once('error', () => resolve('closed'))
    socket.once('close', () => resolve('closed'))
    socket.write(text)
  })
}

const identity = (files: CertificateFiles): tls.ConnectionOptions => ({
  cert: readFileSync(files.certificate),
  key: readFileSync(files.key),
})

describe.skipIf(!hasOpenssl).each([
  ['of streams', false],
  ['of sockets', true],
])('a TLS listener %s', (_way, isOfSockets) => {
  beforeAll(() => {
    readByEvents = isOfSockets
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('carries bytes both ways in %s', async (version) => {
    const { port, accepted } = await echo()
    const socket = await dial(port, { minVersion: version, maxVersion: version })
    expect(socket.getProtocol()).toBe(version)
    expect(await said(socket, 'hello')).toBe('hello')
    expect(accepted[0]?.peer).toMatchObject({ listener: 'kafka', isEncrypted: true, certificate: null })
  })

  it.each([
    ['TLS 1.1', ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']],
    ['a suite without forward secrecy', ['-tls1_2', '-cipher', 'AES128-SHA']],
    ['a suite with CBC', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA']],
  ])('refuses %s', async (_, words) => {
    const { port, accepted } = await echo()
    const outcome = await openssl(port, words)
    expect(outcome).toMatch(/alert|no protocols available|Cipher is \(NONE\)/)
    expect(accepted).toEqual([])
  })

  it('is not opened before it has a certificate', async () => {
    const net = new NodeNet({ observer: testObserver(), readByEvents })
    closers.push(() => net.close())
    const place = { host: '127.0.0.1', port: 0 }
    await expect(net.listen('kafka', place, () => {}, { tls: net.tlsContext('none') })).rejects.toThrow(/certificate/)
  })

  it('refuses to renegotiate', async () => {
    const { port } = await echo()
    const outcome = await openssl(port, ['-tls1_2'], 'R\n')
    expect(outcome).toMatch(/no renegotiation/)
  })

  it('serves on after a handshake that is no handshake', async () => {
    const { port } = await echo()
    const raw = await import('node:net').then((net) => net.connect(port, '127.0.0.1'))
    raw.on('error', () => {})
    raw.write(Buffer.alloc(600, 0xff))
    await once(raw, 'close')
    expect(await said(await dial(port), 'still here')).toBe('still here')
  })

  it('bounds the handshakes that are under way, and serves on when they go', async () => {
    const { port } = await echo()
    const { connect } = await import('node:net')
    const sockets = Array.from({ length: 300 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    closers.push(() => {
      for (const socket of sockets) socket.destroy()
    })
    const refused = await new Promise<number>((resolve) => {
      let closed = 0
      for (const socket of sockets) socket.once('close', () => ++closed === 44 && resolve(closed))
    })
    expect(refused).toBe(44)
    for (const socket of sockets) socket.destroy()
    // The listener hears of their end a little later than we do.
    for (;;) {
      const answer = await dial(port).then(
        (socket) => said(socket, 'room again'),
        () => 'closed',
      )
      if (answer === 'room again') break
    }
  })

  it('tells the certificate of a client that shows a good one', async () => {
    const { port, accepted } = await echo('required')
    expect(await said(await dial(port, identity(client)), 'me')).toBe('me')
    const shown = accepted[0]?.peer.certificate
    expect(Buffer.from(shown ?? []).includes('client')).toBe(true)
  })

  it.each([
    ['required', 'no certificate', () => ({})],
    ['required', 'a certificate of another authority', () => identity(stranger)],
    ['requested', 'a certificate of another authority', () => identity(stranger)],
  ] as const)('with client certificates %s closes a client with %s', async (clientAuth, _, options) => {
    const { port, accepted } = await echo(clientAuth)
    const answer = await dial(port, options()).then(
      (socket) => said(socket, 'let me in'),
      () => 'closed',
    )
    expect(answer).toBe('closed')
    expect(accepted).toEqual([])
  })

  it('with client certificates requested takes a client without one', async () => {
    const { port, accepted } = await echo('requested')
    expect(await said(await dial(port), 'nobody')).toBe('nobody')
    expect(accepted[0]?.peer.certificate).toBeNull()
  })

  it('shows a new certificate to new clients and keeps the old connections', async () => {
    const { port, context } = await echo()
    const before = await dial(port)
    expect(before.getPeerCertificate().subject.CN).toBe('server')
    context.replace(material(renewed))
    expect((await dial(port)).getPeerCertificate().subject.CN).toBe('renewed')
    expect(await said(before, 'still open')).toBe('still open')
  })

  it('trusts the new client authority and no longer the old one', async () => {
    const { port, context } = await echo('required')
    const session = await dial(port, { ...identity(client), maxVersion: 'TLSv1.2' })
    expect(await said(session, 'first')).toBe('first')
    context.replace(material(server, { certificate: folder.file('elsewhere.pem'), key: '' }))
    const answer = await dial(port, {
      ...identity(client),
      maxVersion: 'TLSv1.2',
      session: session.getSession(),
    }).then(
      (socket) => said(socket, 'again'),
      () => 'closed',
    )
    expect(answer).toBe('closed')
    expect(await said(await dial(port, identity(stranger)), 'mine')).toBe('mine')
  })

  it.each([
    ['no PEM', () => ({ ...material(server), certificate: Buffer.from('nothing') }), /certificate cannot be read/],
    ['a key of another certificate', () => ({ ...material(server), key: material(client).key }), /does not belong/],
    ['a key that is none', () => ({ ...material(server), key: Buffer.from('-----') }), /key cannot be read/],
    ['a client CA that is none', () => ({ ...material(server), clientCa: Buffer.from('x') }), /client CA|material/],
  ])('refuses %s and goes on with what it has', async (_, wrong, reason) => {
    const { port, context } = await echo()
    expect(() => context.replace(wrong())).toThrow(reason)
    expect((await dial(port)).getPeerCertificate().subject.CN).toBe('server')
  })
})

/** The output of `openssl s_client`. */
async function openssl(port: number, words: readonly string[], input = ''): Promise<string> {
  const { spawn } = await import('node:child_process')
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...words])
  const output: Buffer[] = []
  child.stdout.on('data', (bytes: Buffer) => output.push(bytes))
  child.stderr.on('data', (bytes: Buffer) => output.push(bytes))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  await once(child, 'close')
  return Buffer.concat(output).toString()
}

it.skipIf(!hasOpenssl)('openssl agrees with the certificates of these tests', () => {
  const words = ['verify', '-CAfile', authority.certificate, server.certificate]
  expect(spawnSync('openssl', words, { encoding: 'utf8' }).stdout).toMatch(/OK/)
})
