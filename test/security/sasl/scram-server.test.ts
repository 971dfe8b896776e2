import { pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  digestBytes,
  digestOf,
  hash,
  hmac,
  type ScramMechanism,
  scramKeysOf,
} from '../../../src/security/sasl/scram-crypto.ts'
import { ScramServer } from '../../../src/security/sasl/scram-server.ts'
import type { SaslStep } from '../../../src/security/sasl/sasl-server.ts'
import type { ScramCredential } from '../../../src/security/scram-credentials.ts'

/** The example of RFC 7677, section 3. */
const vector = {
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
}

function credentialOf(password: string, mechanism: ScramMechanism = 'SCRAM-SHA-256'): ScramCredential {
  const digest = digestOf[mechanism]
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const salted = pbkdf2Sync(password, salt, 4096, digestBytes[digest], digest)
  return { salt, iterations: 4096, ...scramKeysOf(digest, salted) }
}

const pencil = credentialOf('pencil')

function serverOf(options: { readonly users?: readonly string[]; readonly credential?: ScramCredential } = {}) {
  const { users = ['user'], credential = pencil } = options
  return new ScramServer({
    mechanism: 'SCRAM-SHA-256',
    nonce: vector.serverNonce,
    credentialOf: (name) => ({ credential, isReal: users.includes(name) }),
  })
}

const said = (step: SaslStep): string =>
  step.kind === 'failed' ? `failed: ${step.reason}` : Buffer.from(step.bytes).toString()

/** A client of our own, which can be told to lie. */
function proofFor(clientFirst: string, serverFirst: string, withoutProof: string, mechanism: ScramMechanism): string {
  const digest = digestOf[mechanism]
  const salted = pbkdf2Sync('pencil', pencil.salt, 4096, digestBytes[digest], digest)
  const clientKey = hmac(digest, salted, 'Client Key')
  const bare = clientFirst.split(',').slice(2).join(',')
  const signature = hmac(digest, hash(digest, clientKey), `${bare},${serverFirst},${withoutProof}`)
  return Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))).toString('base64')
}

describe('SCRAM', () => {
  it('is the exchange of RFC 7677', () => {
    const server = serverOf()
    expect(said(server.step(Buffer.from(vector.clientFirst)))).toBe(vector.serverFirst)
    const done = server.step(Buffer.from(vector.clientFinal))
    expect(done).toMatchObject({ kind: 'done', userName: 'user' })
    expect(said(done)).toBe(vector.serverFinal)
  })

  it.each([
    ['n,a=user,n=user,r=abc', 'bixhPXVzZXIs'],
    ['y,,n=user,r=abc', 'eSws'],
    ['n,,n=user,r=abc,x=more', 'biws'],
  ])('takes %j', (clientFirst, binding) => {
    const server = serverOf()
    const serverFirst = said(server.step(Buffer.from(clientFirst)))
    const withoutProof = `c=${binding},r=abc${vector.serverNonce}`
    const proof = proofFor(clientFirst, serverFirst, withoutProof, 'SCRAM-SHA-256')
    expect(server.step(Buffer.from(`${withoutProof},p=${proof}`))).toMatchObject({ kind: 'done', userName: 'user' })
  })

  it('reads the escapes of a name, and only these', () => {
    const server = serverOf({ users: ['a,b=c'] })
    server.step(Buffer.from('n,,n=a=2Cb=3Dc,r=abc'))
    expect(server.userName).toBe('a,b=c')
  })

  it('answers a user that is not there like one that is, up to the proof, which is never right', () => {
    const server = serverOf({ users: [] })
    expect(said(server.step(Buffer.from(vector.clientFirst)))).toBe(vector.serverFirst)
    expect(said(server.step(Buffer.from(vector.clientFinal)))).toBe('failed: unknown user')
  })

  const firsts: readonly (readonly [what: string, message: string | Buffer])[] = [
    ['nothing', ''],
    ['no GS2 header', 'n=user,r=abc'],
    ['half a GS2 header', 'n,n=user,r=abc'],
    ['an unknown binding flag', 'x,,n=user,r=abc'],
    ['a binding flag in capitals', 'N,,n=user,r=abc'],
    ['channel binding', 'p=tls-unique,,n=user,r=abc'],
    ['channel binding without a name', 'p=,,n=user,r=abc'],
    ['another identity', 'n,a=admin,n=user,r=abc'],
    ['an identity that differs in case', 'n,a=User,n=user,r=abc'],
    ['an empty identity', 'n,a=,n=user,r=abc'],
    ['an identity with a bad escape', 'n,a=us=er,n=user,r=abc'],
    ['an identity without its name', 'n,user,n=user,r=abc'],
    ['a mandatory extension', 'n,,m=ext,n=user,r=abc'],
    ['no user', 'n,,r=abc'],
    ['an empty user', 'n,,n=,r=abc'],
    ['a user with an equals sign', 'n,,n=a=b,r=abc'],
    ['a user with a lower-case escape', 'n,,n=a=2cb,r=abc'],
    ['a user that ends in an equals sign', 'n,,n=a=,r=abc'],
    ['a user with a NUL', 'n,,n=us\0er,r=abc'],
    ['a user of 256 characters', `n,,n=${'u'.repeat(256)},r=abc`],
    ['a user that is not UTF-8', Buffer.from([0x6e, 0x2c, 0x2c, 0x6e, 0x3d, 0xff, 0x2c, 0x72, 0x3d, 0x61])],
    ['user and nonce swapped', 'n,,r=abc,n=user'],
    ['no nonce', 'n,,n=user'],
    ['an empty nonce', 'n,,n=user,r='],
    ['a nonce with a space', 'n,,n=user,r=a b'],
    ['a nonce with a control character', 'n,,n=user,r=a\x07b'],
    ['a nonce beyond ASCII', 'n,,n=user,r=aé'],
    ['an extension that is none', 'n,,n=user,r=abc,junk'],
    ['an empty extension', 'n,,n=user,r=abc,'],
    ['a delegation token', 'n,,n=user,r=abc,tokenauth=true'],
    ['a message of 5,000 bytes', `n,,n=user,r=${'a'.repeat(5000)}`],
  ]

  it.each(firsts)('refuses client-first with %s', (_, message) => {
    expect(said(serverOf().step(Buffer.from(message)))).toMatch(/^failed: /)
  })

  it('refuses thousands of attributes by their number', () => {
    const many = ',x=1'.repeat(500)
    expect(said(serverOf().step(Buffer.from(`n,,n=user,r=abc${many}`)))).toMatch(/client-first has too many attributes/)
    const server = serverOf()
    server.step(Buffer.from(vector.clientFirst))
    expect(said(server.step(Buffer.from(`c=biws,r=abc${many},p=eA==`)))).toMatch(/client-final has too many attributes/)
  })

  const { clientFinal } = vector
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  const proof = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
  const finals: readonly (readonly [what: string, message: string])[] = [
    ['nothing', ''],
    ['no binding', `r=${nonce},p=${proof}`],
    ['an empty binding', `c=,r=${nonce},p=${proof}`],
    ['a binding that is no base64', `c=*,r=${nonce},p=${proof}`],
    ['a binding of another header', `c=eSws,r=${nonce},p=${proof}`],
    ['a binding with data', `c=biwsZGF0YQ==,r=${nonce},p=${proof}`],
    ['a binding without padding', `c=biw,r=${nonce},p=${proof}`],
    ['no nonce', `c=biws,p=${proof}`],
    ['the nonce of the client alone', clientFinal.replace(vector.serverNonce, '')],
    ['the nonce of the server alone', clientFinal.replace('rOprNGfwEbeRWgbNEkqO', '')],
    ['a longer nonce', clientFinal.replace('$k0', '$k0x')],
    ['a nonce in another case', clientFinal.replace('rOpr', 'ropr')],
    ['an earlier nonce', clientFinal.replace(vector.serverNonce, 'anothernonce')],
    ['no proof', `c=biws,r=${nonce}`],
    ['an empty proof', `c=biws,r=${nonce},p=`],
    ['a proof that is no base64', `c=biws,r=${nonce},p=***`],
    ['a proof without padding', clientFinal.slice(0, -1)],
    ['a short proof', `c=biws,r=${nonce},p=AAAA`],
    ['a long proof', `c=biws,r=${nonce},p=${Buffer.alloc(64).toString('base64')}`],
    ['a proof of zeros', `c=biws,r=${nonce},p=${Buffer.alloc(32).toString('base64')}`],
    ['a proof with one bit changed', clientFinal.replace('p=dHzb', 'p=dHzc')],
    ['the proof of another password', clientFinal.replace(proof, Buffer.alloc(32, 7).toString('base64'))],
    ['an extension that was not signed', `c=biws,r=${nonce},x=1,p=${proof}`],
    ['an extension that is none', `c=biws,r=${nonce},junk,p=${proof}`],
    ['something behind the proof', `${clientFinal},x=1`],
    ['two proofs', `${clientFinal},p=${proof}`],
    ['binding and nonce swapped', `r=${nonce},c=biws,p=${proof}`],
    ['client-first again', vector.clientFirst],
  ]

  it.each(finals)('refuses client-final with %s', (_, message) => {
    const server = serverOf()
    server.step(Buffer.from(vector.clientFirst))
    expect(said(server.step(Buffer.from(message)))).toMatch(/^failed: /)
  })

  it.each([
    ['another binding', 'c=eSws', 'NONCE', 'failed: the channel binding is not the one of client-first'],
    [
      'the nonce of the server alone',
      'c=biws',
      vector.serverNonce,
      'failed: the nonce is not the one of this exchange',
    ],
    [
      'its own nonce twice (librdkafka before 2.6)',
      'c=biws',
      'abcNONCE',
      'failed: the nonce is not the one of this exchange',
    ],
    ['a longer nonce', 'c=biws', 'NONCEx', 'failed: the nonce is not the one of this exchange'],
  ])('refuses %s although the password is right and the lie is signed', (_, binding, lie, reason) => {
    const server = serverOf()
    const clientFirst = 'n,,n=user,r=abc'
    const serverFirst = said(server.step(Buffer.from(clientFirst)))
    const withoutProof = `${binding},r=${lie.replace('NONCE', `abc${vector.serverNonce}`)}`
    const signed = proofFor(clientFirst, serverFirst, withoutProof, 'SCRAM-SHA-256')
    expect(said(server.step(Buffer.from(`${withoutProof},p=${signed}`)))).toBe(reason)
  })

  it('has more than 40 forms that it refuses', () => expect(firsts.length + finals.length).toBeGreaterThanOrEqual(40))

  it('goes on after neither a success nor a failure', () => {
    const done = serverOf()
    done.step(Buffer.from(vector.clientFirst))
    done.step(Buffer.from(clientFinal))
    expect(said(done.step(Buffer.from(clientFinal)))).toBe('failed: the exchange is over')
    const failed = serverOf()
    failed.step(Buffer.from('junk'))
    expect(said(failed.step(Buffer.from(vector.clientFirst)))).toBe('failed: the exchange is over')
  })

  it('refuses the right proof of a client-first that was changed on its way', () => {
    const server = serverOf()
    server.step(Buffer.from(`${vector.clientFirst},x=y`))
    expect(said(server.step(Buffer.from(clientFinal)))).toBe('failed: wrong password')
  })
})
