import { copyFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { EventDefinition } from '../../src/base/event-def.ts'
import type { Observer } from '../../src/base/ports.ts'
import { NodeClock } from '../../src/node/clock.ts'
import { NodeNet } from '../../src/node/net.ts'
import { nodePorts } from '../../src/node/node-ports.ts'
import { type TlsFiles, TlsKeeper } from '../../src/security/tls-keeper.ts'
import { CaFolder } from '../../src/admin/certificates/ca-folder.ts'
import { PrivateCa } from '../../src/admin/certificates/private-ca.ts'
import { CertificateFolder, type CertificateFiles, hasOpenssl } from './certificates.ts'

const folder = new CertificateFolder()
const closers: (() => Promise<void> | void)[] = []
let authority: CertificateFiles
let first: CertificateFiles
let second: CertificateFiles
let short: CertificateFiles

beforeAll(() => {
  if (!hasOpenssl) return
  authority = folder.authority('authority')
  first = folder.leaf('first', authority)
  second = folder.leaf('second', authority)
  short = folder.leaf('short', authority, { days: 12 })
})
afterAll(() => folder.remove())
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** Events by id, with a wait for one. */
function listeningObserver() {
  const events: { id: string; fields: Record<string, unknown> }[] = []
  let tell: () => void = () => {}
  const observer: Observer = {
    event: (definition: EventDefinition, fields: object) => {
      events.push({ id: definition.id, fields: { ...fields } })
      tell()
    },
    add: () => {},
    set: () => {},
    observe: () => {},
    remove: () => {},
  }
  const until = async (id: string, count = 1): Promise<Record<string, unknown>> => {
    for (;;) {
      const found = events.filter((event) => event.id === id)
      if (found.length >= count) return found[count - 1]?.fields ?? {}
      await new Promise<void>((resolve) => {
        tell = resolve
      })
    }
  }
  return { observer, events, until }
}

/** A keeper of one listener on a real port, whose files are copies that a test may replace. */
async function keeping(files: CertificateFiles, wallMs?: number, client: Partial<TlsFiles> = {}) {
  const { observer, events, until } = listeningObserver()
  const ports = nodePorts({ observer, withoutAddOn: true })
  closers.push(() => ports.close())
  const certificate = folder.file('live.pem')
  const key = folder.file('live.key')
  copyFileSync(files.certificate, certificate)
  copyFileSync(files.key, key)
  const clock = new NodeClock()
  closers.push(() => clock.close())
  if (wallMs !== undefined) clock.raiseWallFloor(wallMs)
  const net = new NodeNet({ observer })
  closers.push(() => net.close())
  const keeper = new TlsKeeper({ disk: ports.disk, net, clock, observer, lookEveryMs: 5 })
  closers.push(() => keeper.stop())
  const context = await keeper.open('kafka[0]', { certificate, key, clientCa: null, clientAuth: 'none', ...client })
  const listener = await net.listen(
    'kafka',
    { host: '127.0.0.1', port: 0 },
    (connection) => connection.start({ onBytes: () => {}, onClose: () => {} }),
    { tls: context },
  )
  const shown = async (): Promise<string> => {
    const socket = tls.connect({ host: '127.0.0.1', port: listener.port, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const name = String(socket.getPeerCertificate().subject.CN)
    socket.destroy()
    return name
  }
  return { certificate, key, events, until, shown }
}

const replaceFile = (from: string, to: string): void => {
  copyFileSync(from, `${to}.new`)
  renameSync(`${to}.new`, to)
}

describe.skipIf(!hasOpenssl)('the keeper of certificates', () => {
  it('puts a renewed certificate in force, though its two files come one after the other', async () => {
    const { certificate, key, until, shown, events } = await keeping(first)
    replaceFile(second.certificate, certificate)
    expect(await until('tls-certificate-refused')).toMatchObject({
      listener: 'kafka[0]',
      reason: expect.stringMatching(/does not belong/),
    })
    expect(await shown()).toBe('first')
    replaceFile(second.key, key)
    expect(await until('tls-certificate-reloaded')).toMatchObject({ subject: 'CN=second' })
    expect(await shown()).toBe('second')
    expect(events.filter(({ id }) => id === 'tls-certificate-refused')).toHaveLength(1)
  })

  it.each([
    ['broken', (path: string) => writeFileSync(path, 'not a certificate')],
    ['missing', (path: string) => rmSync(path)],
  ])('keeps the old certificate when the new file is %s, and says so', async (_, harm) => {
    const { certificate, until, shown } = await keeping(first)
    harm(certificate)
    await until('tls-certificate-refused')
    expect(await shown()).toBe('first')
  })

  it('warns 30 days before a certificate expires, and when it has', async () => {
    const { until } = await keeping(short)
    expect(await until('tls-certificate-expires-soon')).toMatchObject({ days: 11 })
    const expired = await keeping(short, new NodeClock().wallMs() + 13 * 86_400_000)
    expect(await expired.until('tls-certificate-expired')).toMatchObject({ subject: 'CN=short' })
  })

  it('looks at the certificates for other names as at the first', async () => {
    const more = { certificate: folder.file('more.pem'), key: folder.file('more.key') }
    copyFileSync(short.certificate, more.certificate)
    copyFileSync(short.key, more.key)
    const { until } = await keeping(first, undefined, { moreCertificates: [more] })
    expect(await until('tls-certificate-expires-soon')).toMatchObject({ subject: 'CN=short', days: 11 })
    replaceFile(second.key, more.key)
    const refused = await until('tls-certificate-refused')
    expect(refused).toMatchObject({ reason: expect.stringMatching(/^moreCertificates\[0\]: .*does not belong/) })
    replaceFile(second.certificate, more.certificate)
    await until('tls-certificate-reloaded')
  })

  it('does not take an expired certificate over one that lasts longer', async () => {
    const { certificate, key, until, shown } = await keeping(first, new NodeClock().wallMs() + 13 * 86_400_000)
    replaceFile(short.key, key)
    replaceFile(short.certificate, certificate)
    for (let count = 1; ; count++)
      if (/expired/.test(String((await until('tls-certificate-refused', count)).reason))) break
    expect(await shown()).toBe('first')
  })

  it('does not start without its files', async () => {
    const { observer } = listeningObserver()
    const ports = nodePorts({ observer, withoutAddOn: true })
    closers.push(() => ports.close())
    const keeper = new TlsKeeper(ports)
    const files = { ...first, certificate: folder.file('nowhere.pem'), clientCa: null, clientAuth: 'none' as const }
    await expect(keeper.open('mqtt[0]', files)).rejects.toMatchObject({
      code: 'TLS_UNUSABLE',
      message: expect.stringContaining('nowhere.pem'),
    })
  })
})

describe.skipIf(!hasOpenssl)('the keeper of revocation lists', () => {
  const dayMs = 86_400_000
  /** An authority whose list ends in `crlDays`, seen from `agoDays` before now. */
  const authorityWith = async (name: string, crlDays: number, agoDays = 0) => {
    const files = new CaFolder(folder.file(name))
    const ca = new PrivateCa(files, () => Date.now() - agoDays * dayMs)
    await ca.init(name, { days: 100, crlDays })
    const client = {
      clientCa: files.file('ca.pem'),
      clientCrl: files.file('ca.crl.pem'),
      clientAuth: 'required',
    } as const
    return { files, ca, client }
  }

  it('puts a newer list in force, and keeps the one that is when a new one cannot be used', async () => {
    const { ca, client, files } = await authorityWith('ca-1', 10)
    const { until, events } = await keeping(first, undefined, client)
    await ca.writeList(20)
    await until('tls-certificate-reloaded')
    const { client: stranger } = await authorityWith('ca-2', 10)
    for (const [index, harm] of [
      (): void => replaceFile(stranger.clientCrl, client.clientCrl),
      (): void => writeFileSync(client.clientCrl, 'no list'),
      (): void => rmSync(client.clientCrl),
    ].entries()) {
      harm()
      expect(await until('tls-certificate-refused', index + 1)).toMatchObject({
        reason: expect.stringMatching(/list|no file/),
      })
    }
    await ca.writeList(30)
    await until('tls-certificate-reloaded', 2)
    expect(events.some(({ id }) => id === 'tls-crl-expired')).toBe(false)
    // A copy of long ago is too old, and does not take the place of one that is good.
    await new PrivateCa(files, () => Date.now() - 50 * dayMs).writeList(5)
    expect(await until('tls-certificate-refused', 4)).toMatchObject({ reason: expect.stringMatching(/expired/) })
  })

  it('does not let an older list take the place of a newer one, though it is good for longer: it knows nobody who was revoked since', async () => {
    const { ca, client, files } = await authorityWith('ca-5', 10)
    const old = folder.file('ca-5-old.pem')
    await ca.writeList(90)
    replaceFile(client.clientCrl, old)
    const { until, events } = await keeping(first, undefined, client)
    await ca.issue({ name: 'press-1', profile: 'client', alternatives: [], days: 5 })
    await ca.revoke('press-1', 'keyCompromise', 10)
    await until('tls-certificate-reloaded')
    replaceFile(old, client.clientCrl)
    expect(await until('tls-certificate-refused')).toMatchObject({
      reason: expect.stringMatching(/older than the one/),
    })
    // A clock that was put back makes no list older: they are counted.
    await new PrivateCa(files, () => Date.now() - 2 * dayMs).writeList(10)
    await until('tls-certificate-reloaded', 2)
    expect(events.filter(({ id }) => id === 'tls-certificate-refused')).toHaveLength(1)
  })

  it('warns two days before a list is too old, and tells when it is', async () => {
    const soon = await authorityWith('ca-3', 1)
    expect(await (await keeping(first, undefined, soon.client)).until('tls-crl-expires-soon')).toMatchObject({
      hours: 23,
    })
    const late = await authorityWith('ca-4', 5, 6)
    expect(await (await keeping(first, undefined, late.client)).until('tls-crl-expired')).toEqual({
      listener: 'kafka[0]',
    })
  })
})
