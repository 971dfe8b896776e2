/** Kerberos by the add-on, without a realm: a key made by hand, and tokens that are none. What a real KDC gives is an interop case. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { nodeCompute } from '../../src/node/compute.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-gss-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const counted = (text: string | Buffer): Buffer => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(text.length)
  return Buffer.concat([length, Buffer.from(text)])
}
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A keytab (version 5.2) with one AES-256 key of kafka/localhost@TEST. */
function keytab(): string {
  const parts = [Buffer.from([0, 2]), counted('TEST'), counted('kafka'), counted('localhost'), uint32(1), uint32(0)]
  const entry = Buffer.concat([...parts, Buffer.from([1]), Buffer.from([0, 18]), counted(Buffer.alloc(32, 7))])
  const path = join(folder, 'keytab')
  writeFileSync(path, Buffer.concat([Buffer.from([5, 2]), uint32(entry.length), entry]))
  return path
}

const compute = nodeCompute()
const service = 'kafka/localhost@TEST'

function failureOf(work: () => unknown): string {
  try {
    work()
    return ''
  } catch (thrown) {
    return (thrown as Error).message
  }
}
const isMissing = failureOf(() => compute.gssAcceptor(keytab(), service)) === 'there is no libgssapi_krb5.so.2'
if (isMissing) console.log('skipped: no libgssapi_krb5.so.2 (Debian: apt-get install libgssapi-krb5-2)')

describe.skipIf(isMissing)('the acceptor of Kerberos', () => {
  it('opens with the key of its principal, and with nothing else', () => {
    expect(failureOf(() => compute.gssAcceptor(keytab(), service))).toBe('')
    for (const [file, principal] of [
      [keytab(), 'kafka/elsewhere@TEST'],
      [join(folder, 'nowhere'), service],
      [folder, service],
      [keytab(), ''],
      [keytab(), 'x'.repeat(5000)],
      ['y'.repeat(5000), service],
    ] as const)
      expect(failureOf(() => compute.gssAcceptor(file, principal))).not.toBe('')
  })

  it('refuses what is no token, however it begins, and goes on', async () => {
    const acceptor = compute.gssAcceptor(keytab(), service)
    // The frame of a Kerberos token (RFC 2743, 3.1; RFC 4121, 4.1), cut, stretched and filled with noise.
    const oid = Buffer.from('06092a864886f712010202', 'hex')
    for (let round = 0; round < 500; round++) {
      const noise = randomBytes(round % 200)
      const inner = Buffer.concat([oid, Buffer.from([1, 0]), noise])
      const token = round % 2 === 0 ? noise : Buffer.concat([Buffer.from([0x60, inner.length & 0x7f]), inner])
      const { name, failure } = await acceptor
        .begin()
        .accept(token)
        .then(
          (answer) => ({ name: answer.name, failure: '' }),
          (thrown: Error) => ({ name: null, failure: thrown.message }),
        )
      expect(name).toBeNull()
      expect(failure).not.toBe('')
    }
  })

  it('wraps and unwraps nothing before a context stands', async () => {
    const context = compute.gssAcceptor(keytab(), service).begin()
    await expect(context.wrap(Buffer.from('x'))).rejects.toThrow(/out of step/)
    await expect(context.unwrap(Buffer.from('x'))).rejects.toThrow(/out of step/)
    await expect(context.accept(Buffer.from('x'))).rejects.toThrow(/token/i)
  })
})

describe.skipIf(isMissing)('an initiator of Kerberos', () => {
  const principal = 'mirror@TEST'
  const reasonOf = (outcome: Promise<unknown>): Promise<string> =>
    outcome.then(
      () => '',
      (thrown: Error) => thrown.message,
    )

  it('tells why there is no ticket, and has nothing to wrap with before there is one', async () => {
    for (const keys of [join(folder, 'nowhere'), keytab()]) {
      const context = compute.gssInitiator(keys, principal, 'kafka@localhost')
      expect(await reasonOf(context.initiate(new Uint8Array(0)))).toMatch(/[a-z]{4}/)
      expect(await reasonOf(context.wrap(Buffer.from('x')))).not.toBe('')
      expect(await reasonOf(context.unwrap(Buffer.from('x')))).not.toBe('')
    }
  })

  it('is not begun with names longer than there are', () => {
    for (const words of [
      ['y'.repeat(5000), principal, 'kafka@localhost'],
      [keytab(), 'x'.repeat(5000), 'kafka@localhost'],
      [keytab(), principal, 'z'.repeat(5000)],
    ] as const)
      expect(failureOf(() => compute.gssInitiator(words[0], words[1], words[2]))).toMatch(/arguments/)
  })
})
