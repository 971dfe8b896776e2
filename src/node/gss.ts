/** Kerberos for the Compute port, by the C add-on and the GSS-API library of the machine. */
import { asError } from '../base/errors.ts'
import type { GssAcceptor, GssContext, GssInitiator } from '../base/ports.ts'
import { loadHeadwaterAddOn } from './assets.ts'

interface Answer {
  readonly bytes: Uint8Array
  readonly name: string | null
  readonly isComplete: boolean
}

/** What addon/gss.h exports. Its promises reject with what the library says. */
interface NativeGss {
  gssAcceptor(keytab: string, principal: string): unknown
  gssSession(acceptor: unknown): unknown
  gssInitiator(keytab: string, principal: string, service: string): unknown
  gssInitiate(session: unknown, token: Uint8Array): Promise<Answer>
  gssAccept(session: unknown, token: Uint8Array): Promise<Answer>
  gssWrap(session: unknown, bytes: Uint8Array): Promise<Answer>
  gssUnwrap(session: unknown, bytes: Uint8Array): Promise<Answer>
}

/** One at a time: a flood of tokens must not take the pool from reads. Each connection waits for its own. */
class Queue {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(work: () => Promise<T>): Promise<T> {
    const outcome = this.#last.then(work)
    this.#last = outcome.catch(() => {})
    return outcome
  }
}

const accepting = new Queue()
/** Initiators ask their realm for tickets, and wait for it: clients of ours must not. */
const initiating = new Queue()

/** Throws an Error where there is no add-on, no library, or no key for the principal. */
export function openGssAcceptor(keytab: string, principal: string): GssAcceptor {
  const native = loadHeadwaterAddOn().exports as NativeGss
  const acceptor = native.gssAcceptor(`FILE:${keytab}`, principal)
  return {
    begin(): GssContext {
      const session = native.gssSession(acceptor)
      return {
        accept: (token) => accepting.run(() => native.gssAccept(session, token)),
        wrap: async (bytes) => (await accepting.run(() => native.gssWrap(session, bytes))).bytes,
        unwrap: async (bytes) => (await accepting.run(() => native.gssUnwrap(session, bytes))).bytes,
      }
    },
  }
}

/** Throws an Error where there is no add-on, or no library. */
export function openGssInitiator(keytab: string, principal: string, service: string): GssInitiator {
  const native = loadHeadwaterAddOn().exports as NativeGss
  const session = native.gssInitiator(`FILE:${keytab}`, principal, service)
  return {
    // The library names neither who nor with what.
    initiate: (token) =>
      initiating
        .run(() => native.gssInitiate(session, token))
        .catch((thrown: unknown) => {
          throw new Error(`${principal} by ${keytab} to ${service}: ${asError(thrown).message}`, { cause: thrown })
        }),
    wrap: async (bytes) => (await initiating.run(() => native.gssWrap(session, bytes))).bytes,
    unwrap: async (bytes) => (await initiating.run(() => native.gssUnwrap(session, bytes))).bytes,
  }
}
