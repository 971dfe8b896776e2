import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { OutboundTls } from '../../src/base/ports.ts'
import { NodeNet } from '../../src/node/net.ts'
import { CertificateFolder, type CertificateFiles, hasOpenssl } from '../security/certificates.ts'
import { testObserver } from './test-observer.ts'

const folder = new CertificateFolder()
const closers: (() => Promise<void> | void)[] = []
let authority: CertificateFiles
let server: CertificateFiles
let client: CertificateFiles
let stranger: CertificateFiles
beforeAll(() => {
  if (!hasOpenssl) return
  authority = folder.authority('authority')
  server = folder.leaf('server', authority)
  client = folder.leaf('client', authority)
  stranger = folder.leaf('stranger', folder.authority('elsewhere'))
})
afterAll(() => folder.remove())
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

const read = (path: string): Buffer => readFileSync(path)
const material = (more: Partial<OutboundTls> = {}): OutboundTls => ({
  ca: read(authority.certificate),
  certificate: null,
  key: null,
  serverName: null,
  ...more,
})
const shown = (files: CertificateFiles): Partial<OutboundTls> => ({
  certificate: read(files.certificate),
  key: read(files.key),
})

/** A server that says back what it hears, and tells the name it was asked for and whom it sees. */
async function echo(options: tls.TlsOptions = {}) {
  const seen: { name: string | false; client: string }[] = []
  const listening = tls.createServer(
    { cert: read(server.certificate), key: read(server.key), ca: read(authority.certificate), ...options },
    (socket) => {
      seen.push({ name: socket.servername ?? false, client: String(socket.getPeerCertificate().subject?.CN ?? '') })
      socket.on('error', () => {})
      socket.pipe(socket)
    },
  )
  listening.on('tlsClientError', () => {})
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  closers.push(() => void listening.close())
  const { port } = listening.address() as AddressInfo
  const ours = new NodeNet({ observer: testObserver() })
  closers.push(() => ours.close())
  const connect = (secured: OutboundTls | null, host = '127.0.0.1', timeoutMs = 5000) =>
    ours.connect({ host, port }, timeoutMs, secured)
  return { connect, seen }
}

async function said(connection: Awaited<ReturnType<NodeNet['connect']>>, text: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    connection.start({
      onBytes: (bytes) => {
        heard += Buffer.from(bytes).toString()
        if (heard.length >= text.length) resolve(heard)
      },
      onClose: () => resolve('closed'),
    })
    connection.send([Buffer.from(text)])
  })
}

describe.skipIf(!hasOpenssl)('a connection over TLS', () => {
  it('carries bytes both ways to a server that proves its address or its name', async () => {
    const { connect, seen } = await echo()
    const byAddress = await connect(material())
    expect(byAddress.peer).toMatchObject({ listener: 'outbound', isEncrypted: true, certificate: null })
    const long = 'hello'.repeat(100_000)
    expect(await said(byAddress, long)).toBe(long)
    expect(await said(await connect(material(), 'localhost'), 'x')).toBe('x')
    expect(seen.map(({ name }) => name)).toEqual([false, 'localhost'])
  })

  it('may be told by which name the server must prove itself', async () => {
    const { connect, seen } = await echo()
    expect(await said(await connect(material({ serverName: 'localhost' })), 'x')).toBe('x')
    expect(seen[0]?.name).toBe('localhost')
    await expect(connect(material({ serverName: 'central.example.com' }))).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
  })

  it.each<[string, () => OutboundTls, RegExp]>([
    [
      'an authority that is not ours',
      () => material({ ca: read(folder.authority('third').certificate) }),
      /UNABLE_TO_VERIFY|SELF_SIGNED|SIGNATURE/,
    ],
    ['no authority of ours: the public ones did not sign it', () => material({ ca: null }), /UNABLE_TO_|SELF_SIGNED/],
    ['an authority that is no PEM', () => material({ ca: Buffer.from('x') }), /UNABLE_TO_|PEM|SELF_SIGNED/],
    [
      'a key that is not ours',
      () => material({ certificate: read(client.certificate), key: read(stranger.key) }),
      /KEY_VALUES_MISMATCH|key values mismatch/i,
    ],
    [
      'a key that is none',
      () => material({ certificate: read(client.certificate), key: Buffer.from('x') }),
      /connect to/,
    ],
  ])('is not made with %s', async (_, make, message) => {
    const { connect } = await echo()
    const secured = make()
    await expect(connect(secured)).rejects.toThrow(message)
  })

  it('shows a certificate where it is asked for one', async () => {
    const { connect, seen } = await echo({ requestCert: true, rejectUnauthorized: true })
    expect(await said(await connect(material(shown(client))), 'x')).toBe('x')
    expect(seen[0]?.client).toBe('client')
    // TLS 1.3 tells a client only after its handshake that its certificate will not do.
    expect(await said(await connect(material(shown(stranger))), 'x')).toBe('closed')
    expect(await said(await connect(material()), 'x')).toBe('closed')
  })

  it('is not made in TLS 1.1', async () => {
    const { connect } = await echo({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' })
    await expect(connect(material())).rejects.toThrow(/connect to/)
  })

  it('is given up when the other end does not answer in time, or speaks no TLS', async () => {
    const ours = new NodeNet({ observer: testObserver() })
    closers.push(() => ours.close())
    for (const [answer, message] of [
      [null, /ETIMEDOUT/],
      ['HTTP/1.1 400 Bad Request\r\n\r\n', /WRONG_VERSION_NUMBER|EPROTO|PACKET|wrong version/],
    ] as const) {
      const plain = net.createServer((socket) => {
        socket.on('error', () => {})
        if (answer !== null) socket.write(answer)
      })
      plain.listen(0, '127.0.0.1')
      await once(plain, 'listening')
      closers.push(() => void plain.close())
      const { port } = plain.address() as AddressInfo
      await expect(ours.connect({ host: '127.0.0.1', port }, 300, material())).rejects.toThrow(message)
    }
  })
})
