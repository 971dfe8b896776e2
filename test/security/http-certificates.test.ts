/** The HTTP listener under TLS: certificates as names, passwords beside them, and a renewal that the audit hears of. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../interop/case.ts'
import { type RunningHeadwater, sourceCommand, startHeadwater } from '../interop/headwater.ts'
import { runProgram } from './appliance-world.ts'
import { CertificateFolder, hasOpenssl } from './certificates.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-https-'))
const certificates = new CertificateFolder()
let daemon: RunningHeadwater | null = null
afterAll(async () => {
  await daemon?.stop()
  certificates.remove()
  rmSync(folder, { recursive: true, force: true })
})

describe.skipIf(!hasOpenssl)('the HTTP listener under TLS', () => {
  const password = 'wonderland-7'
  let authority: ReturnType<CertificateFolder['authority']>
  let server: ReturnType<CertificateFolder['leaf']>

  beforeAll(async () => {
    authority = certificates.authority('authority')
    server = certificates.leaf('server', authority)
    const configFile = join(folder, 'headwater.yaml')
    const open = 'kafka: [{ listen: "127.0.0.1:0" }], mqtt: [{ listen: "127.0.0.1:0" }]'
    const { certificate, key } = server
    const tls = `{ certificate: ${certificate}, key: ${key}, clientCa: ${authority.certificate}, clientAuth: requested }`
    const superUsers = 'User:CN=watcher;User:ANONYMOUS'
    const authorizer = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'
    writeFileSync(
      configFile,
      `listeners: { ${open}, http: { authentication: required, tls: ${tls} } }\nkafka: { authorizer.class.name: ${authorizer}, super.users: "${superUsers}" }\n`,
    )
    daemon = await startHeadwater({ dataDir: join(folder, 'data'), configFile, kafkaPort: null, mqttPort: null })
    const headwater = (words: readonly string[], input = '') =>
      runProgram('sh', [...sourceCommand.slice(1), ...words, '-b', daemon?.kafka ?? ''], { input })
    expect(await headwater(['users', 'set', 'alice'], `${password}\n`)).toMatchObject({ code: 0 })
    expect(await headwater(['role', 'grant', 'viewer', 'alice'])).toMatchObject({ code: 0 })
  }, 60_000)

  function ask(
    identity: { certificate: string; key: string } | null,
    headers: Record<string, string> = {},
  ): Promise<number | string> {
    const [host = '', port = ''] = daemon?.http.split(':') ?? []
    const own = identity === null ? {} : { cert: readFileSync(identity.certificate), key: readFileSync(identity.key) }
    return new Promise((resolve) => {
      const asked = request(
        { host, port, path: '/api/status', ca: readFileSync(authority.certificate), agent: false, headers, ...own },
        (answer) => {
          answer.resume()
          resolve(answer.statusCode ?? 0)
        },
      )
      asked.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      asked.end()
    })
  }

  it('knows a client by its certificate, by a password, or not at all', async () => {
    expect(await ask(certificates.leaf('watcher', authority))).toBe(200)
    expect(await ask(certificates.leaf('stranger', authority))).toBe(403)
    expect(await ask(null)).toBe(401)
    const basic = { authorization: `Basic ${Buffer.from(`alice:${password}`).toString('base64')}` }
    expect(await ask(null, basic)).toBe(200)
    const foreign = certificates.authority('foreign')
    expect(await ask(certificates.leaf('intruder', foreign))).not.toBe(200)
  })

  it('takes a renewed certificate, and the audit hears of it', { timeout: 30_000 }, async () => {
    const renewed = certificates.leaf('renewed', authority)
    writeFileSync(server.certificate, readFileSync(renewed.certificate))
    writeFileSync(server.key, readFileSync(renewed.key))
    const audit = join(folder, 'data', 'state', 'audit')
    const told = (): string =>
      readdirSync(audit)
        .map((name) => readFileSync(join(audit, name), 'utf8'))
        .join('')
    await until(
      () => told().includes('"type":"headwater.certificate.replaced","subject":"http"'),
      20_000,
      'the renewal in the audit',
    )
  })
})
