/** SCRAM as a client: the example of RFC 7677, our own server, and servers that are not to be believed. */
import { pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { saslClientOf, type SaslLogin } from '../../../src/security/sasl/sasl-login.ts'
import { ScramClient } from '../../../src/security/sasl/scram-client.ts'
import { digestBytes, digestOf, type ScramMechanism, scramKeysOf } from '../../../src/security/sasl/scram-crypto.ts'
import { ScramServer } from '../../../src/security/sasl/scram-server.ts'

const compute = {
  deriveKey: async ({ password, salt, iterations, digest }: Parameters<typeof derive>[0]) =>
    derive({ password, salt, iterations, digest }),
}
function derive(request: {
  readonly password: Uint8Array
  readonly salt: Uint8Array
  readonly iterations: number
  readonly digest: 'sha256' | 'sha512'
}): Uint8Array {
  const { password, salt, iterations, digest } = request
  return pbkdf2Sync(password, salt, iterations, digestBytes[digest], digest)
}

const nonceBytes = Buffer.from('abcdefghijklmnopqrstuvwx')
const nonce = nonceBytes.toString('base64url')
const entropy = { bytes: () => nonceBytes }
const newClient = (mechanism: ScramMechanism = 'SCRAM-SHA-256', userName = 'user', password = 'pencil') =>
  new ScramClient({ mechanism, userName, password, entropy, compute })

describe('the example of RFC 7677', () => {
  it('is repeated to the letter', async () => {
    // Its nonce is not one that we would make: the bytes are those that base64 turns into it.
    const written = { bytes: () => Buffer.from('rOprNGfwEbeRWgbNEkqO', 'base64url') }
    const client = new ScramClient({
      mechanism: 'SCRAM-SHA-256',
      userName: 'user',
      password: 'pencil',
      entropy: written,
      compute,
    })
    expect(Buffer.from(await client.respond(null)).toString()).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
    const challenge = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
    expect(Buffer.from(await client.respond(Buffer.from(challenge))).toString()).toBe(
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    )
    client.finish(Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='))
  })
})

const salt = Buffer.from('some salt')
function newServer(mechanism: ScramMechanism, password: string): ScramServer {
  const digest = digestOf[mechanism]
  const keys = scramKeysOf(digest, derive({ password: Buffer.from(password), salt, iterations: 4096, digest }))
  return new ScramServer({
    mechanism,
    nonce: 'servers-own',
    credentialOf: () => ({ credential: { salt, iterations: 4096, ...keys }, isReal: true }),
  })
}

describe('a client and our server', () => {
  it.each<[ScramMechanism, string, string]>([
    ['SCRAM-SHA-256', 'user', 'pencil'],
    ['SCRAM-SHA-512', 'user', 'pencil'],
    ['SCRAM-SHA-512', 'a,b=c', 'päss, wörd='],
  ])('agree by %s on %s', async (mechanism, userName, password) => {
    const [client, server] = [newClient(mechanism, userName, password), newServer(mechanism, password)]
    const first = server.step(await client.respond(null))
    const last = server.step(await client.respond(first.kind === 'continue' ? first.bytes : null))
    expect(last).toMatchObject({ kind: 'done', userName })
    expect(client.isDone).toBe(true)
    client.finish(last.kind === 'done' ? last.bytes : Buffer.alloc(0))
  })

  it('part where the password is another', async () => {
    const [client, server] = [newClient(), newServer('SCRAM-SHA-256', 'other')]
    const first = server.step(await client.respond(null))
    const last = server.step(await client.respond(first.kind === 'continue' ? first.bytes : null))
    expect(last).toMatchObject({ kind: 'failed' })
  })
})

const good = `r=${nonce}server,s=c2FsdA==,i=4096`
describe('a challenge is refused', () => {
  it.each([
    ['with the nonce of somebody else', `r=xserver,s=c2FsdA==,i=4096`],
    ['with our nonce alone', `r=${nonce},s=c2FsdA==,i=4096`],
    ['with the end of our nonce', `r=server${nonce},s=c2FsdA==,i=4096`],
    ['with too few iterations', good.replace('4096', '4095')],
    ['with one iteration', good.replace('4096', '1')],
    ['with none', good.replace('4096', '0')],
    ['with more than a million', good.replace('4096', '1000001')],
    ['with two milliards', good.replace('4096', '2147483648')],
    ['with a count that is none', good.replace('4096', '4096.5')],
    ['with a negative count', good.replace('4096', '-4096')],
    ['without a salt', `r=${nonce}server,s=,i=4096`],
    ['with a salt that is not base64', `r=${nonce}server,s=c2FsdA,i=4096`],
    ['with a huge salt', `r=${nonce}server,s=${Buffer.alloc(2000).toString('base64')},i=4096`],
    ['in another order', `s=c2FsdA==,r=${nonce}server,i=4096`],
    ['cut off', `r=${nonce}server`],
    ['with a mandatory extension', `m=x,${good}`],
    ['with an error', 'e=unknown-user'],
    ['that is empty', ''],
    ['of 5,000 bytes', `${good},x=${'a'.repeat(5000)}`],
  ])('%s', async (_, challenge) => {
    const client = newClient()
    await client.respond(null)
    await expect(client.respond(Buffer.from(challenge))).rejects.toMatchObject({ code: 'SASL_AUTHENTICATION_FAILED' })
  })

  it('that is not UTF-8', async () => {
    const client = newClient()
    await client.respond(null)
    await expect(client.respond(Buffer.from([0xff]))).rejects.toThrow(/UTF-8/)
  })
})

describe('a server that does not know the password is not believed', () => {
  it.each([
    ['no signature', ''],
    ['an empty one', 'v='],
    ['one of zeros', `v=${Buffer.alloc(32).toString('base64')}`],
    ['a short one', `v=${Buffer.alloc(8).toString('base64')}`],
    ['our proof', 'v=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='],
    ['an error', 'e=other-error'],
  ])('with %s', async (_, last) => {
    const client = newClient()
    await client.respond(null)
    await client.respond(Buffer.from(good))
    expect(() => client.finish(Buffer.from(last))).toThrow(/authentication/)
  })

  it('nor one that says yes at once', async () => {
    const client = newClient()
    await client.respond(null)
    expect(client.isDone).toBe(false)
    expect(() => client.finish(Buffer.from('v=AAAA'))).toThrow(/cut off/)
  })

  it('nor one that asks twice', async () => {
    const client = newClient()
    await client.respond(null)
    await client.respond(Buffer.from(good))
    await expect(client.respond(Buffer.from(good))).rejects.toThrow(/out of step/)
  })
})

describe('mechanisms of one message', () => {
  const clientOf = (login: SaslLogin) => saslClientOf(login, { entropy, compute })
  it('say it in the form of their RFCs', () => {
    const plain = clientOf({ mechanism: 'PLAIN', userName: 'alice', password: 'wonder' })
    expect(Buffer.from(plain.respond(null) as Uint8Array).toString()).toBe('\0alice\0wonder')
    const bearer = clientOf({ mechanism: 'OAUTHBEARER', token: 'a.b.c' })
    expect(Buffer.from(bearer.respond(null) as Uint8Array).toString()).toBe('n,,\x01auth=Bearer a.b.c\x01\x01')
    bearer.finish(Buffer.alloc(0))
  })

  it('OAUTHBEARER fails with the status of the refusal, and shows nothing else of it', () => {
    const bearer = clientOf({ mechanism: 'OAUTHBEARER', token: 'a.b.c' })
    void bearer.respond(null)
    expect(() => bearer.finish(Buffer.from('{"status":"invalid_token","x":"\u001b[31m"}'))).toThrow(/invalid_token$/)
    expect(() => bearer.finish(Buffer.from('\u001b[31m'))).toThrow(/does not say why$/)
  })
})
