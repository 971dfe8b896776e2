/** The operator's listener, asked by a plain HTTP client over the loopback. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, it } from 'vitest'
import type { Access } from '../../../src/admin/access.ts'
import { HttpSurface } from '../../../src/admin/http/http-surface.ts'
import type { ApplianceStatus, HealthReport, Operations } from '../../../src/admin/operations.ts'
import { ProcessObserver } from '../../../src/admin/observer.ts'
import { NodeTlsContext } from '../../../src/node/tls-context.ts'
import { CertificateFolder, hasOpenssl } from '../../security/certificates.ts'

const status: ApplianceStatus = {
  phase: 'serving',
  version: '0.1.0',
  nodeId: 1,
  site: 'edge',
  clusterId: 'MkU3OEVBNTcwNTJENDM2Qg',
  directoryId: 'JkU3OEVBNTcwNTJENDM2Qg',
  dataDir: './data',
  uptimeMs: 5,
  listeners: [],
  recovery: { wasClean: true, isNew: true, recoveryMs: 1 },
  disk: { logBytes: 0, freeBytes: 1, totalBytes: 2 },
  clockTrusted: true,
  held: null,
  damage: { ranges: 0, logs: [] },
  writes: {
    ...{ bytes: 0, pageBytes: 0, syncs: 0, causes: [], topics: [] },
    ...{ amplification: null, pageBytesPerDay: null, lifetimeDays: null },
  },
  topics: 0,
  partitions: 0,
  groups: 0,
  mqttSessions: 0,
  commit: { commits: 0, journalCommits: 0, committedBytes: 0, pendingBytes: 0 },
  mirrors: [],
}

let surface: HttpSurface | null = null
afterEach(async () => {
  await surface?.close()
  surface = null
})

/** Starts a listener over a view with this health; null = the appliance is still starting. */
async function start(
  health: HealthReport | null,
): Promise<{ readonly base: string; readonly port: number; refreshed(): number }> {
  let refreshed = 0
  const operations: Operations = {
    status: () => status,
    health: () => health ?? { live: true, ready: false, reasons: [] },
    mirrorStatus: () => [],
    refreshGauges: () => {
      refreshed++
    },
  }
  const observer = new ProcessObserver({
    version: '0.1.0',
    log: { level: 'silent', format: 'json', descriptor: 2, isTerminal: false },
  })
  surface = new HttpSurface({
    operations: () => (health === null ? null : operations),
    metricsText: () => observer.metrics.text(),
    observer,
  })
  const { port } = await surface.listen({ host: '127.0.0.1', port: 0 })
  return { base: `http://127.0.0.1:${port}`, port, refreshed: () => refreshed }
}

async function ask(url: string, method = 'GET'): Promise<{ status: number; body: unknown; allow: string | null }> {
  const response = await fetch(url, { method })
  const text = await response.text()
  return { status: response.status, body: text === '' ? null : JSON.parse(text), allow: response.headers.get('allow') }
}

describe('the HTTP surface', () => {
  it('answers 200 for live and 503 for ready while the appliance starts, and no status', async () => {
    const { base } = await start(null)
    expect(await ask(`${base}/health/live`)).toMatchObject({ status: 200, body: { live: true } })
    expect(await ask(`${base}/health/ready`)).toMatchObject({
      status: 503,
      body: { ready: false, reasons: [expect.any(String)] },
    })
    expect(await ask(`${base}/api/status`)).toMatchObject({ status: 503, body: { error: 'HTTP_STARTING' } })
  })

  it('answers what the health report says', async () => {
    const { base } = await start({ live: false, ready: false, reasons: ['the disk has failed'] })
    expect(await ask(`${base}/health/live`)).toMatchObject({ status: 503, body: { reasons: ['the disk has failed'] } })
    expect(await ask(`${base}/health/ready`)).toMatchObject({ status: 503, body: { reasons: ['the disk has failed'] } })
  })

  it('shows status, mirrors and the list of its paths', async () => {
    const { base } = await start({ live: true, ready: true, reasons: [] })
    expect(await ask(`${base}/api/status`)).toMatchObject({ status: 200, body: { ...status } })
    expect(await ask(`${base}/api/mirrors`)).toMatchObject({ status: 200, body: [] })
    expect(await ask(base)).toMatchObject({
      status: 200,
      body: { paths: expect.arrayContaining([expect.objectContaining({ path: '/metrics' })]) },
    })
  })

  it('refreshes the gauges before each scrape', async () => {
    const { base, refreshed } = await start({ live: true, ready: true, reasons: [] })
    const response = await fetch(`${base}/metrics`)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await response.text()).toContain('headwater_build_info{version="0.1.0"} 1')
    expect(refreshed()).toBe(1)
  })

  it('says what is wrong: an unknown path, another method', async () => {
    const { base } = await start({ live: true, ready: true, reasons: [] })
    expect(await ask(`${base}/nothing?x=1`)).toMatchObject({
      status: 404,
      body: { error: 'HTTP_NOT_FOUND', message: 'there is nothing at /nothing' },
    })
    expect(await ask(`${base}/metrics`, 'POST')).toMatchObject({
      status: 405,
      allow: 'GET, HEAD',
      body: { error: 'HTTP_METHOD_NOT_ALLOWED' },
    })
    expect(await ask(`${base}/metrics`, 'DELETE')).toMatchObject({ status: 405 })
  })

  it.each([
    ['no HTTP at all', 'hello\r\n\r\n', '400'],
    ['a header above the limit', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, '431'],
  ])('refuses %s with a sentence and goes on serving', async (_name, bytes, code) => {
    const { base, port } = await start({ live: true, ready: true, reasons: [] })
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk.toString()
    })
    socket.write(bytes)
    await once(socket, 'close')
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${code} `))
    expect(answer).toContain('HTTP_MALFORMED')
    expect(await ask(`${base}/health/live`)).toMatchObject({ status: 200 })
  })

  it('refuses an occupied port with the attempt in the sentence', async () => {
    const { port } = await start({ live: true, ready: true, reasons: [] })
    const other = new HttpSurface({
      operations: () => null,
      metricsText: () => Promise.resolve(''),
      observer: new ProcessObserver({
        version: '0',
        log: { level: 'silent', format: 'json', descriptor: 2, isTerminal: false },
      }),
    })
    await expect(other.listen({ host: '127.0.0.1', port })).rejects.toThrow(
      `listen for http on 127.0.0.1:${port}: EADDRINUSE`,
    )
  })

  it.skipIf(!hasOpenssl)('asks for a certificate where it is told to, and shows its own', async () => {
    const folder = new CertificateFolder()
    const authority = folder.authority('authority')
    const server = folder.leaf('server', authority)
    const client = folder.leaf('client', authority)
    const tls = new NodeTlsContext('required')
    const clientCa = readFileSync(authority.certificate)
    tls.replace({ certificate: readFileSync(server.certificate), key: readFileSync(server.key), clientCa })
    surface = new HttpSurface({
      operations: () => null,
      metricsText: () => Promise.resolve(''),
      observer: new ProcessObserver({
        version: '0',
        log: { level: 'silent', format: 'json', descriptor: 2, isTerminal: false },
      }),
      tls,
    })
    const { port } = await surface.listen({ host: '127.0.0.1', port: 0 })
    const ask = (identity: object): Promise<number | string> =>
      new Promise((resolve) => {
        const asked = request(
          { host: '127.0.0.1', port, path: '/health/live', ca: clientCa, ...identity },
          (answer) => {
            answer.resume()
            resolve(answer.statusCode ?? 0)
          },
        )
        asked.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
        asked.end()
      })
    expect(await ask({ cert: readFileSync(client.certificate), key: readFileSync(client.key) })).toBe(200)
    expect(await ask({})).toMatch(/CERTIFICATE_REQUIRED|ECONNRESET/)
    expect(await ask({ cert: readFileSync(client.certificate), key: readFileSync(client.key) })).toBe(200)
    folder.remove()
  })

  describe('where names are asked for', () => {
    /** Nobody gets as far as to be judged. */
    const unasked: Access = {
      checkPassword: () => Promise.reject(new Error('a password was looked at')),
      checkToken: () => Promise.reject(new Error('a token was looked at')),
      ofCertificate: () => null,
      credentialMark: () => null,
      mayView: () => true,
      mayAdminister: () => true,
      isSetUp: () => false,
      setUp: () => ({ kind: 'refused', reason: 'set-up was asked for', isRetriable: false }),
      tokens: () => [],
      createToken: () => Promise.reject(new Error('a token was made')),
      revokeToken: () => Promise.reject(new Error('a token was revoked')),
    }

    async function required(hasOpenMetrics: boolean, access: Access | null, host = '127.0.0.1'): Promise<number> {
      const observer = new ProcessObserver({
        version: '0.1.0',
        log: { level: 'silent', format: 'json', descriptor: 2, isTerminal: false },
      })
      surface = new HttpSurface({
        operations: () => null,
        metricsText: () => observer.metrics.text(),
        observer,
        access: () => access,
        authentication: { isRequired: true, hasOpenMetrics, hosts: [] },
      })
      return (await surface.listen({ host, port: 0 })).port
    }

    it('tells health and nothing else before it knows its users', async () => {
      const base = `http://127.0.0.1:${await required(false, null)}`
      expect(await ask(`${base}/health/live`)).toMatchObject({ status: 200, body: { live: true } })
      expect(await ask(`${base}/health/ready`)).toMatchObject({ status: 503, body: { ready: false } })
      expect((await ask(`${base}/health/ready`)).body).not.toHaveProperty('reasons')
      for (const path of ['/metrics', '/api/status', '/api/tokens']) {
        expect(await ask(`${base}${path}`)).toMatchObject({ status: 503, body: { error: 'HTTP_STARTING' } })
      }
    })

    it('leaves the figures open to scrapers where it is told to, and nothing else', async () => {
      const base = `http://127.0.0.1:${await required(true, unasked)}`
      expect((await fetch(`${base}/metrics`)).status).toBe(200)
      expect(await ask(`${base}/api/status`)).toMatchObject({ status: 401, body: { error: 'HTTP_UNAUTHORIZED' } })
    })

    const other = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

    it.skipIf(other === undefined)('does not look at credentials that came in plain text from elsewhere', async () => {
      const base = `http://${other}:${await required(false, unasked, '0.0.0.0')}`
      for (const authorization of ['Basic YWxpY2U6c2VjcmV0', 'Bearer hw1_x']) {
        const response = await fetch(`${base}/api/status`, { headers: { authorization } })
        expect(response.status).toBe(403)
        expect(await response.json()).toMatchObject({ error: 'HTTP_PLAIN_TEXT' })
      }
      expect((await fetch(`${base}/api/status`)).status).toBe(401)
    })
  })

  it('stops although a client has sent half a request', async () => {
    const { port } = await start({ live: true, ready: true, reasons: [] })
    const client = connect(port, '127.0.0.1')
    await once(client, 'connect')
    client.write('GET /health/li')
    const closed = once(client, 'close')
    client.on('error', () => {})
    await surface?.close()
    await closed
  })
})
