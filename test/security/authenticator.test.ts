import { pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Authenticator } from '../../src/security/authenticator.ts'
import { FailedAttempts, failedAttemptsDefaults } from '../../src/security/failed-attempts.ts'
import { inventCredential } from '../../src/security/invented-credential.ts'
import { readPlain } from '../../src/security/sasl/plain-server.ts'
import { digestBytes, digestOf, type ScramMechanism, scramKeysOf } from '../../src/security/sasl/scram-crypto.ts'
import { ScramCredentials } from '../../src/security/scram-credentials.ts'
import { simWorld } from '../sim/world.ts'

const iterations = 5000

function addUser(credentials: ScramCredentials, name: string, password: string, mechanism: ScramMechanism): void {
  const digest = digestOf[mechanism]
  const salt = Buffer.from(`salt of ${name}`)
  const salted = pbkdf2Sync(password, salt, iterations, digestBytes[digest], digest)
  credentials.set(name, mechanism, { salt, iterations, ...scramKeysOf(digest, salted) })
}

/** An authenticator on a simulated host: its time is the world's. */
function newAuthenticator(delayMs = 100) {
  const world = simWorld(3)
  const ports = world.host('edge').boot()
  const credentials = new ScramCredentials()
  addUser(credentials, 'alice', 'wonder', 'SCRAM-SHA-256')
  addUser(credentials, 'bob', 'builder', 'SCRAM-SHA-512')
  const derived: number[] = []
  const compute: typeof ports.compute = {
    compress: (...words) => ports.compute.compress(...words),
    decompress: (...words) => ports.compute.decompress(...words),
    unpack: (...words) => ports.compute.unpack(...words),
    tokenKeys: (set) => ports.compute.tokenKeys(set),
    gssAcceptor: (...words) => ports.compute.gssAcceptor(...words),
    gssInitiator: (...words) => ports.compute.gssInitiator(...words),
    deriveKey: (request) => {
      derived.push(request.iterations)
      return ports.compute.deriveKey(request)
    },
  }
  const authenticator = new Authenticator({ ...ports, compute, credentials, failureDelayMs: () => delayMs })
  return { world, authenticator, credentials, derived }
}

const plain = (user: string, password: string, authorization = ''): Buffer =>
  Buffer.from(`${authorization}\0${user}\0${password}`)

describe('PLAIN and passwords', () => {
  it.each([
    ['alice', 'wonder', 'right'],
    ['bob', 'builder', 'right'],
    ['alice', 'Wonder', 'wrong'],
    ['alice', 'builder', 'wrong'],
    ['Alice', 'wonder', 'wrong'],
    ['nobody', 'wonder', 'wrong'],
    ['__proto__', 'wonder', 'wrong'],
  ])('%s with %s is %s', async (user, password, verdict) => {
    const { world, authenticator } = newAuthenticator()
    expect(await world.settle(authenticator.checkPassword('h', user, password))).toBe(verdict)
    const step = await world.settle(authenticator.begin('PLAIN', 'h').step(plain(user, password)))
    expect(step.kind).toBe(verdict === 'right' ? 'done' : 'failed')
  })

  it('costs one derivation for a name that is not there, with iterations that somebody has', async () => {
    const { world, authenticator, derived } = newAuthenticator()
    await world.settle(authenticator.checkPassword('h', 'alice', 'guess'))
    await world.settle(authenticator.checkPassword('h', 'nobody', 'guess'))
    expect(derived).toEqual([iterations, iterations])
  })

  it('derives nothing for what it has seen to be right, until the credential changes', async () => {
    const { world, authenticator, derived, credentials } = newAuthenticator()
    for (let times = 0; times < 3; times++) await world.settle(authenticator.checkPassword('h', 'alice', 'wonder'))
    expect(derived).toHaveLength(1)
    addUser(credentials, 'alice', 'changed', 'SCRAM-SHA-256')
    expect(await world.settle(authenticator.checkPassword('h', 'alice', 'wonder'))).toBe('wrong')
    credentials.delete('alice', 'SCRAM-SHA-256')
    expect(await world.settle(authenticator.checkPassword('h', 'alice', 'changed'))).toBe('wrong')
  })

  it('answers a failure no sooner than its delay', async () => {
    const { world, authenticator } = newAuthenticator(250)
    const beganMs = world.nowMs
    await world.settle(authenticator.checkPassword('h', 'alice', 'guess'))
    expect(world.nowMs - beganMs).toBeGreaterThanOrEqual(250)
  })

  it.each([
    ['one part', 'alice'],
    ['two parts', '\0alice'],
    ['four parts', '\0alice\0wonder\0'],
    ['no name', '\0\0wonder'],
    ['no password', '\0alice\0'],
    ['another identity', 'root\0alice\0wonder'],
    ['an identity in another case', 'ALICE\0alice\0wonder'],
    ['nothing', ''],
    ['3,000 bytes', `\0alice\0${'w'.repeat(3000)}`],
  ])('a PLAIN message with %s is refused', (_, message) => {
    expect(readPlain(Buffer.from(message))).toEqual(expect.any(String))
  })

  it('a PLAIN message that is not UTF-8 is refused', () => {
    expect(readPlain(Buffer.from([0, 0x61, 0, 0xff]))).toMatch(/UTF-8/)
  })

  it('the identity may be the name itself', () => {
    expect(readPlain(plain('alice', 'wonder', 'alice'))).toEqual({ userName: 'alice', password: 'wonder' })
  })
})

describe('who fails too often', () => {
  it('is locked out at that address, with the right password too, and gets in again later', async () => {
    const { world, authenticator } = newAuthenticator()
    const tried = (host: string, password: string) => world.settle(authenticator.checkPassword(host, 'alice', password))
    for (let times = 0; times < failedAttemptsDefaults.perUserMax; times++) await tried('bad', 'guess')
    expect(await tried('bad', 'wonder')).toBe('wrong')
    expect((await world.settle(authenticator.begin('PLAIN', 'bad').step(plain('alice', 'wonder')))).kind).toBe('failed')
    expect(await tried('good', 'wonder')).toBe('right')
    let isOver = false
    world.at(world.nowMs + failedAttemptsDefaults.lockMs, 'later', () => {
      isOver = true
    })
    await world.run(() => isOver)
    expect(await tried('bad', 'wonder')).toBe('right')
  })

  it('is locked out in the midst of hundreds of guesses that it shows at once', async () => {
    const { world, authenticator } = newAuthenticator()
    const { perUserMax } = failedAttemptsDefaults
    const guesses = Array.from({ length: perUserMax }, (_, at) =>
      authenticator.checkPassword('h', 'alice', `guess ${at}`),
    )
    const right = authenticator.checkPassword('h', 'alice', 'wonder')
    const elsewhere = authenticator.checkPassword('other', 'alice', 'wonder')
    expect(await world.settle(Promise.all(guesses))).toEqual(guesses.map(() => 'wrong'))
    expect(await world.settle(right)).toBe('wrong')
    expect(await world.settle(elsewhere)).toBe('right')
  })

  it('is locked out as an address when it tries many names', () => {
    const attempts = new FailedAttempts()
    const { perAddressMax, lockMs } = failedAttemptsDefaults
    for (let at = 0; at < perAddressMax; at++) {
      expect(attempts.isLocked('h', 'alice', at)).toBe(false)
      attempts.failed('h', `u${at}`, at)
    }
    expect(attempts.isLocked('h', 'alice', perAddressMax)).toBe(true)
    expect(attempts.isLocked('h', null, perAddressMax)).toBe(true)
    expect(attempts.isLocked('other', 'alice', perAddressMax)).toBe(false)
    expect(attempts.isLocked('h', 'alice', perAddressMax + lockMs)).toBe(false)
  })

  it('does not buy guesses at others with a password of its own', () => {
    const attempts = new FailedAttempts()
    for (let at = 0; at < failedAttemptsDefaults.perAddressMax; at++) {
      attempts.failed('h', `u${at}`, at)
      attempts.succeeded('h', 'mine')
    }
    expect(attempts.isLocked('h', 'mine', 100)).toBe(true)
  })

  it('is forgotten after a quiet time', () => {
    const attempts = new FailedAttempts()
    const { perUserMax, forgetAfterMs } = failedAttemptsDefaults
    for (let at = 0; at < perUserMax - 1; at++) attempts.failed('h', 'a', at)
    expect(attempts.failed('h', 'a', forgetAfterMs + 100)).toBe(false)
  })

  it('costs bounded memory, whatever the names', () => {
    const attempts = new FailedAttempts({ ...failedAttemptsDefaults, entriesMax: 50 })
    for (let at = 0; at < 1000; at++) attempts.failed(`h${at}`, 'u'.repeat(at), at)
    expect(attempts.size).toBe(50)
  })
})

describe('an invented credential', () => {
  const secret = Buffer.alloc(32, 1)

  it('is the same each time for one name, another for another name, mechanism or run', () => {
    const credentials = new ScramCredentials()
    const salt = (name: string, mechanism: ScramMechanism = 'SCRAM-SHA-256', from = secret) =>
      Buffer.from(inventCredential({ credentials, secret: from }, name, mechanism).salt).toString('hex')
    expect(salt('a')).toBe(salt('a'))
    expect(
      new Set([salt('a'), salt('b'), salt('a', 'SCRAM-SHA-512'), salt('a', 'SCRAM-SHA-256', Buffer.alloc(32))]).size,
    ).toBe(4)
  })

  it('looks like a real one', () => {
    const credentials = new ScramCredentials()
    addUser(credentials, 'alice', 'wonder', 'SCRAM-SHA-512')
    const invented = inventCredential({ credentials, secret }, 'nobody', 'SCRAM-SHA-512')
    expect(invented).toMatchObject({ iterations, salt: { length: 'salt of alice'.length }, storedKey: { length: 64 } })
  })
})
