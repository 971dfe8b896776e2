/** Kerberos for the Compute port, by the C add-on and the GSS-API library of the machine. */
import type { GssAcceptor, GssContext } from '../base/ports.ts'
import { loadHeadwaterAddOn } from './assets.ts'

interface Answer {
  readonly bytes: Uint8Array
  readonly name: string | null
}

/** What addon/gss.h exports. Its promises reject with what the library says. */
interface NativeGss {
  gssAcceptor(keytab: string, principal: string): unknown
  gssSession(acceptor: unknown): unknown
  gssAccept(session: unknown, token: Uint8Array): Promise<Answer>
  gssWrap(session: unknown, bytes: Uint8Array): Promise<Answer>
  gssUnwrap(session: unknown, bytes: Uint8Array): Promise<Answer>
}

/** A queue of its own, one at a time: a flood of tokens must not take the pool from reads. Each connection waits for its own. */
let last: Promise<unknown> = Promise.resolve()

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const outcome = last.then(work)
  last = outcome.catch(() => {})
  return outcome
}

/** Throws an Error where there is no add-on, no library, or no key for the principal. */
export function openGssAcceptor(keytab: string, principal: string): GssAcceptor {
  const native = loadHeadwaterAddOn().exports as NativeGss
  const acceptor = native.gssAcceptor(`FILE:${keytab}`, principal)
  return {
    begin(): GssContext {
      const session = native.gssSession(acceptor)
      return {
        accept: (token) => inTurn(() => native.gssAccept(session, token)),
        wrap: async (bytes) => (await inTurn(() => native.gssWrap(session, bytes))).bytes,
        unwrap: async (bytes) => (await inTurn(() => native.gssUnwrap(session, bytes))).bytes,
      }
    },
  }
}
