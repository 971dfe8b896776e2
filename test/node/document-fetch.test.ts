import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { NodeNet } from '../../src/node/net.ts'
import { CertificateFolder, type CertificateFiles, hasOpenssl } from '../security/certificates.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

/** A server on a free port of the loopback, and a Net port to ask it by. */
async function serving(answer: http.RequestListener, tls: https.ServerOptions | null = null) {
  const server = tls === null ? http.createServer(answer) : https.createServer(tls, answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const net = new NodeNet({ observer: silentObserver })
  closers.push(async () => {
    await net.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  const url = `${tls === null ? 'http' : 'https'}://127.0.0.1:${port}/keys?secret=canary`
  const fetch = (more: { timeoutMs?: number; bytesMax?: number; ca?: Uint8Array | null } = {}) =>
    net.fetchDocument({ url, timeoutMs: 5_000, bytesMax: 1_000, ca: null, ...more })
  return { net, fetch, url }
}

describe('a document over HTTP', () => {
  it('comes whole', async () => {
    const { fetch } = await serving((_, response) => {
      response.write('{"ke')
      response.end('ys":[]}')
    })
    expect(Buffer.from(await fetch()).toString()).toBe('{"keys":[]}')
  })

  it('is asked for by a form, which no error tells', async () => {
    let isRefused = false
    const { net, url } = await serving((request, response) => {
      let body = ''
      request.on('data', (bytes: Buffer) => (body += bytes.toString()))
      request.on('end', () => {
        const { authorization, 'content-type': type } = request.headers
        response.writeHead(isRefused ? 401 : 200).end(`${request.method} ${authorization} ${type} ${body}`)
      })
    })
    const form = { fields: { grant_type: 'client_credentials', scope: 'a b&c' }, authorization: 'Basic canary' }
    const ask = () => net.fetchDocument({ url, timeoutMs: 5_000, bytesMax: 1_000, ca: null, form })
    expect(Buffer.from(await ask()).toString()).toBe(
      'POST Basic canary application/x-www-form-urlencoded grant_type=client_credentials&scope=a+b%26c',
    )
    isRefused = true
    const said = await ask().catch(String)
    expect(said).toMatch(/POST http:.*HTTP status 401/)
    expect(said).not.toContain('canary')
  })

  it.each([
    ['a redirection', 302, /HTTP status 302/],
    ['an error', 500, /HTTP status 500/],
    ['no content', 204, /HTTP status 204/],
  ])('is not had from %s, and nobody else is asked', async (_, status, message) => {
    let asked = 0
    const { fetch } = await serving((_request, response) => {
      asked++
      response.writeHead(status, { location: '/elsewhere' }).end()
    })
    await expect(fetch()).rejects.toThrow(message)
    expect(asked).toBe(1)
  })

  it('is cut off above its bound, whatever length was announced', async () => {
    const { fetch } = await serving((_, response) => {
      response.write('a'.repeat(600))
      response.write('b'.repeat(600))
    })
    await expect(fetch()).rejects.toThrow(/more than 1000 bytes/)
  })

  it('that is not whole is none', async () => {
    const { fetch } = await serving((_, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('{}', () => response.destroy())
    })
    await expect(fetch()).rejects.toThrow()
  })

  it.each([
    ['answers nothing', (): void => {}],
    [
      'begins and does not end',
      (_: http.IncomingMessage, response: http.ServerResponse): void => void response.write('{'),
    ],
  ])('is given up when the server %s in time', async (_, answer) => {
    const { fetch } = await serving(answer)
    await expect(fetch({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'ETIMEDOUT' })
  })

  it('is given up when the port closes', async () => {
    const { fetch, net } = await serving(() => void net.close())
    await expect(fetch()).rejects.toThrow()
  })

  it('says in its failure whom it asked, without the query', async () => {
    const { fetch, url } = await serving((_, response) => response.writeHead(404).end())
    const failure = await fetch().catch((thrown: Error) => thrown.message)
    expect(failure).toContain(url.slice(0, url.indexOf('?')))
    expect(failure).not.toContain('canary')
  })
})

describe.skipIf(!hasOpenssl)('a document over HTTPS', () => {
  const folder = new CertificateFolder()
  let authority: CertificateFiles
  let leaf: CertificateFiles
  beforeAll(() => {
    authority = folder.authority('authority')
    leaf = folder.leaf('keys', authority)
  })
  afterAll(() => folder.remove())
  const material = () => ({ cert: readFileSync(leaf.certificate), key: readFileSync(leaf.key) })

  it('comes from a server whose certificate the given authority has signed, and from no other', async () => {
    const { fetch } = await serving((_, response) => response.end('{}'), material())
    expect(Buffer.from(await fetch({ ca: readFileSync(authority.certificate) })).toString()).toBe('{}')
    await expect(fetch()).rejects.toThrow(/UNABLE_TO_|SELF_SIGNED/)
    const other = folder.authority('other')
    await expect(fetch({ ca: readFileSync(other.certificate) })).rejects.toThrow(/UNABLE_TO_|SELF_SIGNED|SIGNATURE/)
  })
})
