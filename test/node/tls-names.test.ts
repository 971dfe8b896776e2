import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TlsClientAuth, TlsKeyPair } from '../../src/base/ports.ts'
import { NodeNet } from '../../src/node/net.ts'
import { CertificateFolder, type CertificateFiles, hasOpenssl } from '../security/certificates.ts'
import { testObserver } from './test-observer.ts'

const folder = new CertificateFolder()
const closers: (() => Promise<void> | void)[] = []
let authority: CertificateFiles
let elsewhere: CertificateFiles
const leaves = new Map<string, CertificateFiles>()

beforeAll(() => {
  if (!hasOpenssl) return
  authority = folder.authority('authority')
  elsewhere = folder.authority('elsewhere')
  leaves.set('server', folder.leaf('server', authority, { hosts: ['localhost', 'box.example'] }))
  leaves.set('gate', folder.leaf('gate', authority, { hosts: ['gate.example', 'box.example'], days: 20 }))
  leaves.set('cells', folder.leaf('cells', authority, { hosts: ['*.cells.example'] }))
  leaves.set('client', folder.leaf('client', authority))
  leaves.set('stranger', folder.leaf('stranger', elsewhere))
})
afterAll(() => folder.remove())
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

function pair(name: string): TlsKeyPair {
  const { certificate, key } = leaves.get(name) ?? { certificate: '', key: '' }
  return { certificate: readFileSync(certificate), key: readFileSync(key) }
}

const material = (clientAuth: TlsClientAuth = 'none', more = [pair('gate'), pair('cells')]) => ({
  ...pair('server'),
  more,
  clientCa: clientAuth === 'none' ? null : readFileSync(authority.certificate),
})

/** Without sockets of Node where it can be, or with them. */
let readByEvents = false

/** A listener that says hello. */
async function greeting(clientAuth: TlsClientAuth = 'none') {
  const net = new NodeNet({ observer: testObserver(), readByEvents })
  closers.push(() => net.close())
  const context = net.tlsContext(clientAuth)
  const facts = context.replace(material(clientAuth))
  const listener = await net.listen(
    'kafka',
    { host: '127.0.0.1', port: 0 },
    (connection) => {
      connection.start({ onBytes: () => {}, onClose: () => {} })
      connection.send([Buffer.from('hello')])
    },
    { tls: context },
  )
  return { context, facts, port: listener.port }
}

/** Whose certificate a client that asks for `servername` is shown, and what it hears then. */
async function asked(port: number, servername: string, options: tls.ConnectionOptions = {}): Promise<string> {
  const named = servername === '' ? {} : { servername }
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...named, ...options })
  closers.push(() => void socket.destroy())
  socket.on('error', () => {})
  let shown = 'nothing'
  socket.once('secureConnect', () => {
    shown = String(socket.getPeerCertificate().subject?.CN)
  })
  const heard = await new Promise<string>((resolve) => {
    socket.once('data', () => resolve('hello'))
    socket.once('close', () => resolve('closed'))
  })
  return `${shown} ${heard}`
}

describe.skipIf(!hasOpenssl).each([
  ['of streams', false],
  ['of sockets', true],
])('a TLS listener %s with several certificates', (_way, isOfSockets) => {
  beforeAll(() => {
    readByEvents = isOfSockets
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('shows the one for the name that is asked for in %s', async (version) => {
    const { port } = await greeting()
    const shown = (name: string) => asked(port, name, { minVersion: version, maxVersion: version })
    expect(await shown('gate.example')).toBe('gate hello')
    expect(await shown('GATE.example')).toBe('gate hello')
    expect(await shown('seven.cells.example')).toBe('cells hello')
    expect(await shown('a.b.cells.example')).toBe('server hello')
    expect(await shown('box.example')).toBe('server hello')
    expect(await shown('elsewhere.example')).toBe('server hello')
    expect(await shown('')).toBe('server hello')
  })

  it('judges clients alike, whatever name they ask for', async () => {
    const { port } = await greeting('required')
    for (const [name, certificate] of [
      ['localhost', 'server'],
      ['gate.example', 'gate'],
    ] as const) {
      const as = (client: string) => {
        const { certificate: cert, key } = pair(client)
        return asked(port, name, { cert: Buffer.from(cert), key: Buffer.from(key), maxVersion: 'TLSv1.2' })
      }
      expect(await as('client')).toBe(`${certificate} hello`)
      expect(await as('stranger')).toMatch(/closed$/)
      expect(await asked(port, name, { maxVersion: 'TLSv1.2' })).toMatch(/closed$/)
    }
  })

  it('shows what has been put in their place to new clients, and says which of them cannot be used', async () => {
    const { port, context, facts } = await greeting()
    expect(facts.subject).toBe('CN=gate')
    expect(context.replace(material('none', [pair('cells'), pair('cells')])).subject).toBe('CN=server')
    expect(await asked(port, 'gate.example')).toBe('server hello')
    const wrong = { certificate: pair('gate').certificate, key: pair('cells').key }
    expect(() => context.replace(material('none', [pair('gate'), wrong]))).toThrow(
      /^moreCertificates\[1\]: the key does not belong to the certificate$/,
    )
    expect(await asked(port, 'seven.cells.example')).toBe('cells hello')
    context.replace(material('none', [pair('gate'), pair('cells')]))
    expect(await asked(port, 'gate.example')).toBe('gate hello')
  })
})
