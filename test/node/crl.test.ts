/** Revocation lists: which are taken, and what becomes of clients whose certificates stand in one. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { CaFolder } from '../../src/admin/certificates/ca-folder.ts'
import { PrivateCa } from '../../src/admin/certificates/private-ca.ts'
import type { TlsMaterial } from '../../src/base/ports.ts'
import { readRevocationLists } from '../../src/node/crl.ts'
import { NodeNet } from '../../src/node/net.ts'
import { hasOpenssl } from '../security/certificates.ts'
import { testObserver } from './test-observer.ts'

const root = mkdtempSync(join(tmpdir(), 'headwater-crl-'))
const closers: (() => Promise<void> | void)[] = []
afterAll(() => rmSync(root, { recursive: true, force: true }))
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

const dayMs = 86_400_000
interface Authority {
  readonly folder: CaFolder
  readonly ca: PrivateCa
  readonly pem: Buffer
  /** Its list as it is now. */
  readonly list: () => Buffer
}

async function authority(name: string): Promise<Authority> {
  const folder = new CaFolder(join(root, name))
  const ca = new PrivateCa(folder, () => Date.now())
  await ca.init(name, { days: 100, crlDays: 10 })
  return { folder, ca, pem: readFileSync(folder.file('ca.pem')), list: () => readFileSync(folder.file('ca.crl.pem')) }
}

let plant: Authority
let other: Authority
beforeAll(async () => {
  ;[plant, other] = [await authority('plant'), await authority('other')]
  await plant.ca.issue({ name: 'edge', profile: 'server', alternatives: ['localhost', '127.0.0.1'], days: 30 })
  for (const name of ['good', 'bad']) await plant.ca.issue({ name, profile: 'client', alternatives: [], days: 30 })
  await plant.ca.revoke('bad', 'keyCompromise', 10)
})

const derOf = (pem: Buffer): Buffer => Buffer.from(pem.toString().replace(/-----[^-]+-----|\s/g, ''), 'base64')

describe('a file of revocation lists', () => {
  it('may be PEM or DER, and says until when it is good', () => {
    const pem = readRevocationLists(plant.list(), plant.pem)
    const der = readRevocationLists(derOf(plant.list()), plant.pem)
    expect(der).toEqual(pem)
    expect(pem.pem).toHaveLength(1)
    const leftMs = (pem.nextUpdateMs ?? 0) - Date.now()
    expect(leftMs).toBeGreaterThan(9 * dayMs)
    expect(leftMs).toBeLessThanOrEqual(10 * dayMs)
  })

  it('holds one list for each authority; the first that is too old counts', async () => {
    await other.ca.writeList(3)
    const lists = readRevocationLists(
      Buffer.concat([plant.list(), other.list()]),
      Buffer.concat([other.pem, plant.pem]),
    )
    expect(lists.pem).toHaveLength(2)
    expect((lists.nextUpdateMs ?? 0) - Date.now()).toBeLessThanOrEqual(3 * dayMs)
  })

  it.each<[string, () => [Uint8Array, Uint8Array], RegExp]>([
    ['is empty', () => [Buffer.from(''), plant.pem], /holds no revocation list/],
    ['is a certificate', () => [plant.pem, plant.pem], /holds no revocation list/],
    ['is a certificate in DER', () => [derOf(plant.pem), plant.pem], /cannot be read/],
    ['is of another authority', () => [other.list(), plant.pem], /no authority of clientCa has signed/],
    [
      'lacks a list of an authority',
      () => [plant.list(), Buffer.concat([plant.pem, other.pem])],
      /no list of CN=other/,
    ],
    ['is cut off', () => [derOf(plant.list()).subarray(0, 100), plant.pem], /cannot be read/],
    ['is twisted', () => [twisted(derOf(plant.list())), plant.pem], /no authority of clientCa has signed/],
  ])('is refused when it %s', (_, files, message) => {
    expect(() => readRevocationLists(...files())).toThrow(message)
  })

  it('that is damaged anywhere is refused by an error, whatever is damaged', () => {
    const whole = derOf(plant.list())
    let refused = 0
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0x00, 0xff, (whole[at] as number) ^ 0x01, 0x84]) {
        const bytes = Buffer.from(whole)
        if (bytes[at] === value) continue
        bytes[at] = value
        expect(() => readRevocationLists(bytes, plant.pem)).toThrow(Error)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(1000)
  })
})

/** A bit of what is signed, changed. */
function twisted(der: Buffer): Buffer {
  const bytes = Buffer.from(der)
  const at = 100
  bytes[at] = (bytes[at] as number) ^ 1
  return bytes
}

const material = (list: Uint8Array | null): TlsMaterial => ({
  certificate: readFileSync(plant.folder.issued('edge').certificate),
  key: readFileSync(plant.folder.issued('edge').key),
  clientCa: plant.pem,
  clientCrl: list,
})

/** A listener that says hello to whom it takes. */
async function greeting(clientAuth: 'required' | 'requested', list: Uint8Array | null) {
  const net = new NodeNet({ observer: testObserver() })
  closers.push(() => net.close())
  const context = net.tlsContext(clientAuth)
  context.replace(material(list))
  const { port } = await net.listen(
    'mqtt',
    { host: '127.0.0.1', port: 0 },
    (connection) => {
      connection.start({ onBytes: () => {}, onClose: () => {} })
      connection.send([Buffer.from('hello')])
    },
    { tls: context },
  )
  const dial = async (name: string | null, resumed?: Buffer) => {
    const identity = name === null ? null : plant.folder.issued(name)
    const files = identity === null ? {} : { cert: readFileSync(identity.certificate), key: readFileSync(identity.key) }
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      ca: plant.pem,
      servername: 'localhost',
      session: resumed,
      ...files,
    })
    closers.push(() => void socket.destroy())
    let ticket: Buffer | undefined
    socket.on('session', (bytes: Buffer) => {
      ticket = bytes
    })
    socket.on('error', () => {})
    const heard = await new Promise<string>((resolve) => {
      socket.once('data', (bytes: Buffer) => resolve(bytes.toString()))
      socket.once('close', () => resolve('closed'))
    })
    const session = async (): Promise<Buffer> => ticket ?? ((await once(socket, 'session')) as [Buffer])[0]
    return { heard, socket, session }
  }
  return { context, dial }
}

describe('a listener with a revocation list', () => {
  it.each(['required', 'requested'] as const)(
    'refuses what stands in it and takes the rest (%s)',
    async (clientAuth) => {
      const { dial } = await greeting(clientAuth, plant.list())
      expect((await dial('good')).heard).toBe('hello')
      expect((await dial('bad')).heard).toBe('closed')
      expect((await dial(null)).heard).toBe(clientAuth === 'required' ? 'closed' : 'hello')
    },
  )

  it('without one takes what is revoked', async () => {
    const { dial } = await greeting('required', null)
    expect((await dial('bad')).heard).toBe('hello')
  })

  it('takes a newer list for the next connection, also of a client with a ticket, and open ones stay', async () => {
    await plant.ca.issue({ name: 'later', profile: 'client', alternatives: [], days: 30 })
    const { dial, context } = await greeting('required', plant.list())
    const before = await dial('later')
    expect(before.heard).toBe('hello')
    const ticket = await before.session()
    await plant.ca.revoke('later', 'cessationOfOperation', 10)
    context.replace(material(plant.list()))
    expect((await dial('later', ticket)).heard).toBe('closed')
    expect((await dial('good')).heard).toBe('hello')
    expect(before.socket.destroyed).toBe(false)
  })

  it('whose list is too old takes no certificate at all', async () => {
    await new PrivateCa(plant.folder, () => Date.now() - 20 * dayMs).writeList(5)
    const { dial } = await greeting('required', plant.list())
    await plant.ca.writeList(10)
    expect((await dial('good')).heard).toBe('closed')
  })
})

describe.skipIf(!hasOpenssl)("openssl's own lists", () => {
  it.each([
    ['RSA', 'rsa:2048', 'sha256'],
    ['RSA with SHA-512', 'rsa:2048', 'sha512'],
    ['Ed25519', 'ed25519', 'sha256'],
  ])('are taken when signed with %s', async (_, kind, digest) => {
    const folder = join(root, `openssl-${kind.replace(':', '')}-${digest}`)
    mkdirSync(folder)
    const run = (...words: readonly string[]): void => {
      const { status, stderr } = spawnSync('openssl', words, { encoding: 'utf8', cwd: folder })
      if (status !== 0) throw new Error(stderr)
    }
    run('req', '-x509', '-newkey', kind, '-nodes', '-days', '9', '-subj', '/CN=a', '-keyout', 'a.key', '-out', 'a.pem')
    writeFileSync(join(folder, 'index.txt'), '')
    writeFileSync(join(folder, 'ca.cnf'), '[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\n')
    const words = [
      '-config',
      'ca.cnf',
      '-gencrl',
      '-cert',
      'a.pem',
      '-keyfile',
      'a.key',
      '-crldays',
      '7',
      '-out',
      'a.crl',
    ]
    run('ca', ...words, '-md', kind === 'ed25519' ? 'null' : digest)
    const { nextUpdateMs } = readRevocationLists(
      readFileSync(join(folder, 'a.crl')),
      readFileSync(join(folder, 'a.pem')),
    )
    expect(((nextUpdateMs ?? 0) - Date.now()) / dayMs).toBeGreaterThan(6.9)
  })
})
