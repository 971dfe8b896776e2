import { createPrivateKey, X509Certificate } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { CaFolder } from '../../../src/admin/certificates/ca-folder.ts'
import { PrivateCa } from '../../../src/admin/certificates/private-ca.ts'
import { hasOpenssl } from '../../security/certificates.ts'

const root = mkdtempSync(join(tmpdir(), 'headwater-ca-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let count = 0
const dayMs = 86_400_000

/** An authority in a folder of its own; `earlierDays` moves its clock back. */
async function authority(earlierDays = 0) {
  const path = join(root, `ca-${++count}`)
  const folder = new CaFolder(path)
  const ca = (agoDays: number) => new PrivateCa(folder, () => Date.now() - agoDays * dayMs)
  await ca(earlierDays).init('Plant CA', { days: 3650, crlDays: 30 })
  return { path, folder, ca: ca(0), caOf: ca }
}

const server = {
  profile: 'server',
  alternatives: ['edge.plant', 'DNS:localhost', 'IP:127.0.0.1', '::1'],
  days: 30,
} as const
const client = { profile: 'client', alternatives: [], days: 30 } as const
const mode = (path: string): number => statSync(path).mode & 0o777
const openssl = (...words: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync('openssl', words, { encoding: 'utf8' })
  return { isGood: status === 0, text: stdout + stderr }
}

describe('a private authority', () => {
  it('keeps keys from everybody else, and leaves no half file', async () => {
    const { path, folder, ca } = await authority()
    await ca.issue({ name: 'edge', ...server })
    expect([
      mode(path),
      mode(join(path, 'issued')),
      mode(folder.file('ca.key')),
      mode(folder.issued('edge').key),
    ]).toEqual([0o700, 0o700, 0o600, 0o600])
    expect(existsSync(folder.file('lock'))).toBe(false)
    expect(existsSync(`${folder.file('ca.key')}.new`)).toBe(false)
  })

  it('gives each certificate its key, its profile and a serial number of its own that nobody can guess', async () => {
    const { folder, ca } = await authority()
    const made = []
    for (const name of ['a', 'b', 'c', 'd']) made.push(await ca.issue({ name, ...client }))
    expect(new Set(made.map(({ serial }) => serial)).size).toBe(4)
    for (const { name, serial } of made) {
      const { certificate, key } = folder.issued(name)
      const read = new X509Certificate(readFileSync(certificate))
      expect(read.serialNumber.toLowerCase()).toBe(serial)
      expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/)
      expect(read.subject).toBe(`CN=${name}`)
      expect(read.ca).toBe(false)
      expect(read.verify(new X509Certificate(readFileSync(folder.file('ca.pem'))).publicKey)).toBe(true)
      expect(read.checkPrivateKey(createPrivateKey(readFileSync(key)))).toBe(true)
    }
    await ca.issue({ name: 'edge', ...server })
    const edge = new X509Certificate(readFileSync(folder.issued('edge').certificate))
    expect(edge.subjectAltName).toBe('DNS:edge.plant, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1')
    expect(edge.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(new X509Certificate(readFileSync(folder.issued('a').certificate)).keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
  })

  it('renews with a new key and the same names, and the one before stays good until it is revoked', async () => {
    const { folder, ca } = await authority()
    const first = await ca.issue({ name: 'edge', ...server })
    const before = readFileSync(folder.issued('edge').key, 'utf8')
    const second = await ca.renew('edge', 60)
    expect(second.serial).not.toBe(first.serial)
    expect(readFileSync(folder.issued('edge').key, 'utf8')).not.toBe(before)
    expect(new X509Certificate(readFileSync(folder.issued('edge').certificate)).subjectAltName).toContain(
      'DNS:edge.plant',
    )
    expect((await ca.list()).map(({ state, isNewest }) => [state, isNewest])).toEqual([
      ['good', false],
      ['good', true],
    ])
    expect(await ca.revoke(first.serial.toUpperCase(), 'superseded', 30)).toBe(1)
    expect((await ca.list()).map(({ state }) => state)).toEqual(['revoked', 'good'])
    expect(await ca.revoke('edge', 'keyCompromise', 30)).toBe(1)
    await expect(ca.revoke('edge', 'keyCompromise', 30)).rejects.toMatchObject({ code: 'CA_UNKNOWN' })
    await ca.issue({ name: 'edge', ...server })
  })

  it.skipIf(!hasOpenssl)('revokes again what was cut off before the list told of it', async () => {
    const { folder, ca } = await authority()
    const { serial } = await ca.issue({ name: 'press-1', ...client })
    const list = folder.file('ca.crl.pem')
    rmSync(list)
    mkdirSync(list)
    await expect(ca.revoke('press-1', 'keyCompromise', 30)).rejects.toThrow(/EISDIR|directory/)
    rmSync(list, { recursive: true })
    expect(await ca.revoke('press-1', 'keyCompromise', 30)).toBe(1)
    expect(openssl('crl', '-in', list, '-noout', '-text').text.toLowerCase()).toContain(serial)
  })

  it('knows a serial number before there is a certificate with it', async () => {
    const { folder, ca } = await authority()
    // The certificate cannot be written: there is a folder in its place.
    mkdirSync(folder.issued('edge').key)
    await expect(ca.issue({ name: 'edge', ...server })).rejects.toThrow()
    expect((await ca.list()).map(({ name }) => name)).toEqual(['edge'])
    expect(await ca.revoke('edge', 'unspecified', 30)).toBe(1)
  })

  it('lets one command at a time at its folder', async () => {
    const { folder, ca } = await authority()
    const both = await Promise.allSettled([ca.issue({ name: 'a', ...client }), ca.issue({ name: 'b', ...client })])
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'CA_BUSY' } })
    expect(existsSync(folder.file('lock'))).toBe(false)
    expect(await ca.list()).toHaveLength(1)
  })

  it.each<[string, (ca: PrivateCa) => Promise<unknown>, string]>([
    ['a second authority in its place', (ca) => ca.init('Other', { days: 1, crlDays: 1 }), 'CA_EXISTS'],
    ['a server without a name', (ca) => ca.issue({ name: 'x', ...server, alternatives: [] }), 'CA_NAME_INVALID'],
    ['a name that is a path', (ca) => ca.issue({ name: '../x', ...client }), 'CA_NAME_INVALID'],
    ['a name that is a flag', (ca) => ca.issue({ name: '-x', ...client }), 'CA_NAME_INVALID'],
    ['an empty name', (ca) => ca.issue({ name: '', ...client }), 'CA_NAME_INVALID'],
    ['a name of 65 letters', (ca) => ca.issue({ name: 'x'.repeat(65), ...client }), 'CA_NAME_INVALID'],
    [
      'an address that is none',
      (ca) => ca.issue({ name: 'x', ...server, alternatives: ['IP:1.2.3'] }),
      'CA_NAME_INVALID',
    ],
    [
      'an address as a name',
      (ca) => ca.issue({ name: 'x', ...server, alternatives: ['DNS:1.2.3.4'] }),
      'CA_NAME_INVALID',
    ],
    ['a name with a blank', (ca) => ca.issue({ name: 'x', ...server, alternatives: ['a b'] }), 'CA_NAME_INVALID'],
    [
      'a kind of name it does not know',
      (ca) => ca.issue({ name: 'x', ...server, alternatives: ['URI:http://a'] }),
      'CA_NAME_INVALID',
    ],
    ['a name that is taken', (ca) => ca.issue({ name: 'taken', ...client }), 'CA_NAME_TAKEN'],
    ['to outlive itself', (ca) => ca.issue({ name: 'x', ...client, days: 3651 }), 'CA_TOO_LONG'],
    ['to renew what there is not', (ca) => ca.renew('x', 1), 'CA_UNKNOWN'],
    ['to revoke what there is not', (ca) => ca.revoke('x', 'unspecified', 1), 'CA_UNKNOWN'],
  ])('refuses %s', async (_, work, code) => {
    const { ca } = await authority()
    await ca.issue({ name: 'taken', ...client })
    await expect(work(ca)).rejects.toMatchObject({ code })
    expect(await ca.list()).toHaveLength(1)
  })

  it('refuses to work where there is none, or with an index that is not its own', async () => {
    const nowhere = new PrivateCa(new CaFolder(join(root, 'nowhere')), () => Date.now())
    await expect(nowhere.issue({ name: 'x', ...client })).rejects.toMatchObject({ code: 'CA_MISSING' })
    await expect(nowhere.list()).rejects.toMatchObject({ code: 'CA_MISSING' })
    for (const text of [
      '{',
      '{}',
      '[]',
      'null',
      '{"version":2,"crlNumber":1,"entries":[]}',
      '{"version":1,"crlNumber":1,"entries":[{}]}',
    ]) {
      const { folder, ca } = await authority()
      writeFileSync(folder.file('index.json'), text)
      await expect(ca.issue({ name: 'x', ...client })).rejects.toMatchObject({ code: 'CA_BROKEN' })
    }
  })
})

describe.skipIf(!hasOpenssl)('openssl', () => {
  it('verifies the chain, the names and the revocation list', async () => {
    const { folder, ca } = await authority()
    await ca.issue({ name: 'edge', ...server })
    await ca.issue({ name: 'press-1', ...client })
    await ca.issue({ name: 'press-2', ...client })
    const verify = (name: string, ...words: readonly string[]) => {
      const chain = [
        '-x509_strict',
        '-crl_check_all',
        '-CAfile',
        folder.file('ca.pem'),
        '-CRLfile',
        folder.file('ca.crl.pem'),
      ]
      return openssl('verify', ...chain, ...words, folder.issued(name).certificate)
    }
    expect(verify('edge', '-purpose', 'sslserver', '-verify_hostname', 'edge.plant')).toMatchObject({ isGood: true })
    expect(verify('edge', '-purpose', 'sslserver', '-verify_ip', '127.0.0.1')).toMatchObject({ isGood: true })
    expect(verify('edge', '-purpose', 'sslserver', '-verify_hostname', 'other.plant').isGood).toBe(false)
    expect(verify('edge', '-purpose', 'sslclient').isGood).toBe(false)
    expect(verify('press-1', '-purpose', 'sslclient')).toMatchObject({ isGood: true })
    expect(verify('press-1', '-purpose', 'sslserver').isGood).toBe(false)
    await ca.revoke('press-1', 'keyCompromise', 30)
    expect(verify('press-1').text).toMatch(/certificate revoked/)
    expect(verify('press-2')).toMatchObject({ isGood: true })
    const list = openssl('crl', '-in', folder.file('ca.crl.pem'), '-noout', '-text', '-CAfile', folder.file('ca.pem'))
    expect(list.text).toMatch(/verify OK/)
    expect(list.text).toMatch(/CRL Number:\s+2\s/)
    expect(list.text).toMatch(/Key Compromise/)
  })

  it('finds a list too old when its time is over, until it is written anew; what has ended by itself leaves it', async () => {
    const { folder, ca, caOf } = await authority(60)
    const old = caOf(60)
    await old.issue({ name: 'short', ...client, days: 1 })
    await old.revoke('short', 'unspecified', 30)
    await ca.issue({ name: 'press-1', ...client })
    const verify = () =>
      openssl(
        'verify',
        '-crl_check',
        '-CAfile',
        folder.file('ca.pem'),
        '-CRLfile',
        folder.file('ca.crl.pem'),
        folder.issued('press-1').certificate,
      )
    expect(verify().text).toMatch(/CRL has expired/)
    expect(openssl('crl', '-in', folder.file('ca.crl.pem'), '-noout', '-text').text).toMatch(/Serial Number/)
    await ca.writeList(30)
    expect(verify()).toMatchObject({ isGood: true })
    expect(openssl('crl', '-in', folder.file('ca.crl.pem'), '-noout', '-text').text).toMatch(/No Revoked Certificates/)
  })
})
