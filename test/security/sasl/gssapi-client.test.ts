import { describe, expect, it } from 'vitest'
import type { GssContext, GssInitiator } from '../../../src/base/ports.ts'
import { GssapiClient } from '../../../src/security/sasl/gssapi-client.ts'
import { GssapiServer } from '../../../src/security/sasl/gssapi-server.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const wrap = async (bytes: Uint8Array): Promise<Uint8Array> => Buffer.concat([Buffer.from('w'), bytes])
const unwrap = async (bytes: Uint8Array): Promise<Uint8Array> => {
  if (bytes[0] !== 0x77) throw new Error('A token had an invalid signature')
  return bytes.subarray(1)
}

/** Both ends of a Kerberos that says its lines: a request, a reply that proves the service. */
function ends(): { readonly initiator: GssInitiator; readonly acceptor: GssContext } {
  return {
    initiator: {
      initiate: async (token) => {
        if (token.length === 0) return { bytes: Buffer.from('request'), isComplete: false }
        if (text(token) !== 'reply') throw new Error('Mutual authentication failed')
        return { bytes: new Uint8Array(0), isComplete: true }
      },
      wrap,
      unwrap,
    },
    acceptor: { accept: async () => ({ bytes: Buffer.from('reply'), name: 'mirror@PLANT' }), wrap, unwrap },
  }
}

const client = (): GssapiClient => new GssapiClient(ends().initiator)

describe('the client of GSSAPI', () => {
  it('is let in by the server of GSSAPI', async () => {
    const { initiator, acceptor } = ends()
    const side = new GssapiClient(initiator)
    const server = new GssapiServer({ context: acceptor, localName: () => 'mirror' })
    let challenge: Uint8Array | null = null
    while (!side.isDone) {
      const step = await server.step(await side.respond(challenge))
      if (step.kind === 'failed') throw new Error(step.reason)
      challenge = step.bytes
      if (step.kind === 'done') expect(step.userName).toBe('mirror')
    }
    side.finish(challenge ?? new Uint8Array(0))
    expect(server.userName).toBe('mirror')
  })

  it.each<[string, readonly Uint8Array[], RegExp]>([
    ['a reply of somebody else', [Buffer.from('forged')], /Mutual authentication failed/],
    ['an offer that is not signed', [Buffer.from('reply'), Buffer.of(1, 0, 0, 0)], /invalid signature/],
    ['an offer that is cut off', [Buffer.from('reply'), Buffer.from('w\x01')], /cut off/],
    ['an offer of encryption alone', [Buffer.from('reply'), Buffer.from('w\x04\x00\xff\xff', 'latin1')], /use TLS/],
  ])('does not believe %s', async (_, answers, message) => {
    const side = client()
    await side.respond(null)
    const talk = async (): Promise<void> => {
      for (const answer of answers) await side.respond(answer)
    }
    await expect(talk()).rejects.toThrow(message)
    expect(side.isDone).toBe(false)
  })

  it('wants nothing behind the end', async () => {
    const side = client()
    await side.respond(null)
    await side.respond(Buffer.from('reply'))
    await side.respond(Buffer.from('w\x01\x00\x00\x00'))
    expect(() => side.finish(Buffer.from('more'))).toThrow(/goes on/)
    expect(() => side.finish(new Uint8Array(0))).not.toThrow()
  })
})
