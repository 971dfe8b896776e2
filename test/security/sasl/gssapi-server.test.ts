/** RFC 4752 over a library whose tokens are words: what is answered, in which order, and what is refused. */
import { describe, expect, it } from 'vitest'
import type { GssContext } from '../../../src/base/ports.ts'
import { GssapiServer } from '../../../src/security/sasl/gssapi-server.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

/** A library of which a token says what comes of it: `more`, `done` (with a token for the client), `silent` (without). */
function context(principal = 'alice@PLANT'): GssContext {
  return {
    accept: async (token) => {
      const said = text(token)
      if (said === 'more') return { bytes: Buffer.from('go on'), name: null }
      if (said === 'done') return { bytes: Buffer.from('mutual'), name: principal }
      if (said === 'silent') return { bytes: Buffer.alloc(0), name: principal }
      throw new Error('Invalid token was supplied')
    },
    wrap: async (bytes) => Buffer.concat([Buffer.from('wrapped:'), bytes]),
    unwrap: async (bytes) => {
      if (!text(bytes).startsWith('wrapped:')) throw new Error('Message integrity check failed')
      return bytes.subarray(8)
    },
  }
}

const newServer = (
  localName: (principal: string) => string | null = (name) => name.split('@')[0] ?? null,
): GssapiServer => new GssapiServer({ context: context(), localName })
const choice = (...bytes: readonly number[]): Buffer => Buffer.concat([Buffer.from('wrapped:'), Buffer.from(bytes)])
const none = [1, 0, 0, 0]

async function atChoice(): Promise<GssapiServer> {
  const server = newServer()
  await server.step(Buffer.from('done'))
  await server.step(Buffer.alloc(0))
  return server
}

describe('GSSAPI', () => {
  it('goes from token to acknowledgement to the choice of no layer', async () => {
    const server = newServer()
    expect(await server.step(Buffer.from('more'))).toMatchObject({ kind: 'continue', bytes: Buffer.from('go on') })
    expect(server.userName).toBeNull()
    expect(await server.step(Buffer.from('done'))).toMatchObject({ kind: 'continue', bytes: Buffer.from('mutual') })
    expect(server.userName).toBe('alice')
    expect(await server.step(Buffer.alloc(0))).toMatchObject({ kind: 'continue', bytes: choice(...none) })
    expect(await server.step(choice(...none))).toEqual({ kind: 'done', userName: 'alice', bytes: new Uint8Array(0) })
    expect(await server.step(choice(...none))).toMatchObject({ kind: 'failed' })
  })

  it('offers the layers at once where the library has nothing to say to the client', async () => {
    const server = newServer()
    expect(await server.step(Buffer.from('silent'))).toMatchObject({ kind: 'continue', bytes: choice(...none) })
    expect(await server.step(choice(...none))).toMatchObject({ kind: 'done', userName: 'alice' })
  })

  it.each(['alice', 'alice@PLANT'])('takes the authorization identity %s', async (name) => {
    const server = await atChoice()
    expect(await server.step(choice(...none, ...Buffer.from(name)))).toMatchObject({ kind: 'done', userName: 'alice' })
  })

  it.each([
    ['a layer with integrity', choice(2, 0, 255, 255)],
    ['a layer with confidentiality', choice(4, 0, 255, 255)],
    ['several layers', choice(3, 0, 0, 0)],
    ['no choice at all', choice(0, 0, 0, 0)],
    ['three bytes', choice(1, 0, 0)],
    ['nothing in its wrapping', choice()],
    ['another name', choice(...none, ...Buffer.from('admin'))],
    ['the same name in another realm', choice(...none, ...Buffer.from('alice@ELSEWHERE'))],
    ['a name that is not UTF-8', choice(...none, 0xff)],
    ['what nobody has wrapped', Buffer.from(none)],
  ])('refuses %s in place of the choice', async (_, message) => {
    expect(await (await atChoice()).step(message)).toMatchObject({ kind: 'failed' })
  })

  it.each([
    ['an empty message', Buffer.alloc(0)],
    ['no token', Buffer.from('ticket')],
    ['70,000 bytes', Buffer.alloc(70_000)],
  ])('refuses %s in place of a token', async (_, message) => {
    const server = newServer()
    expect(await server.step(message)).toMatchObject({ kind: 'failed' })
    expect(await server.step(Buffer.from('done'))).toMatchObject({ kind: 'failed', reason: 'the exchange is over' })
  })

  it("refuses the choice where the acknowledgement is due: the context was not the client's to skip", async () => {
    const server = newServer()
    await server.step(Buffer.from('done'))
    expect(await server.step(choice(...none))).toMatchObject({ kind: 'failed' })
  })

  it('refuses a principal that no rule makes a user of, and tokens without end', async () => {
    expect(await newServer(() => null).step(Buffer.from('done'))).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('alice@PLANT'),
    })
    const server = newServer()
    const steps = []
    for (let count = 0; count < 5; count++) steps.push((await server.step(Buffer.from('more'))).kind)
    expect(steps).toEqual(['continue', 'continue', 'continue', 'continue', 'failed'])
  })
})
