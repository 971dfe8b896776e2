/** Authentication for every door: SASL exchanges, and a name with its password. Failures are slow, counted, and in the end locked out. */
import type { Audit } from '../base/audit-def.ts'
import type { Clock, Compute, Entropy, Observer } from '../base/ports.ts'
import { auditTypes } from './audit/audit-types.ts'
import { FailedAttempts } from './failed-attempts.ts'
import { CredentialLookup } from './invented-credential.ts'
import { PasswordCheck } from './password-check.ts'
import { OAuthBearerServer } from './sasl/oauth-bearer-server.ts'
import { anonymousPrincipal, userPrincipal } from './principal.ts'
import { PlainServer } from './sasl/plain-server.ts'
import type { SaslMechanism, SaslServer, SaslStep } from './sasl/sasl-server.ts'
import { ScramServer } from './sasl/scram-server.ts'
import type { ScramCredentials } from './scram-credentials.ts'
import { securityEvents } from './security-events.ts'
import { securityMetrics } from './security-metrics.ts'
import type { TokenJudge, TokenVerdict } from './tokens/token-check.ts'

export interface AuthenticatorParts {
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'bytes'>
  readonly compute: Pick<Compute, 'deriveKey'>
  readonly observer: Observer
  readonly credentials: ScramCredentials
  /** connection.failed.authentication.delay.ms */
  readonly failureDelayMs: () => number
  /** Null: no listener takes tokens. */
  readonly tokens?: TokenJudge | null
  /** A new exchange of GSSAPI; null: there is no Kerberos. */
  readonly kerberos?: (() => SaslServer) | null
  readonly audit?: Audit
}

export type PasswordVerdict = 'right' | 'wrong' | 'busy'

const nonceBytes = 24
const secretBytes = 32
/** Failures that the log tells in a window; the metric counts all. */
const failuresLoggedMax = 20
const failureWindowMs = 10_000
/** Names come from outside. */
const shownNameLengthMax = 64
const auditedNameLengthMax = 255
/** A failure that counts for nothing: whoever tries meanwhile does not lengthen it. */
const lockedOutReason = 'locked out'

/** Something shown at a door without SASL. */
interface Attempt<T> {
  readonly mechanism: string
  readonly host: string
  /** Whom the client says he is, when he does. */
  readonly user: string | null
  readonly whenLocked: T
  judge(): T | Promise<T>
  /** Null: nothing was judged. */
  read(
    verdict: T,
  ):
    | { readonly user: string }
    | { readonly user: string | null; readonly reason: string; readonly isGuess?: boolean }
    | null
}

export class Authenticator {
  readonly #parts: AuthenticatorParts
  readonly #attempts = new FailedAttempts()
  readonly #secret: Uint8Array
  readonly #passwords: PasswordCheck
  readonly #lookup: CredentialLookup
  #logged = 0
  #windowEndMs = 0

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts
    this.#secret = Uint8Array.from(parts.entropy.bytes(secretBytes))
    const { credentials, compute } = parts
    this.#passwords = new PasswordCheck({ credentials, compute, secret: this.#secret })
    this.#lookup = new CredentialLookup({ credentials, secret: this.#secret })
  }

  /** GSSAPI is not where there is no Kerberos, whatever the configuration says. */
  offers(mechanism: SaslMechanism): boolean {
    return mechanism !== 'GSSAPI' || (this.#parts.kerberos ?? null) !== null
  }

  /** A new exchange with a client at `host`. */
  begin(mechanism: SaslMechanism, host: string): SaslExchange {
    return new SaslExchange(mechanism, this.#serverOf(mechanism), {
      host,
      isLocked: (user) => this.#isLocked({ host, user }),
      failed: (user, reason, isGuess = true) => this.#failed({ mechanism, host, user, reason, isGuess }),
      succeeded: (user) => this.#succeeded(mechanism, host, user),
    })
  }

  /** Judges a name with its password, for a door without SASL; a wrong one takes its time. */
  checkPassword(host: string, user: string, password: string): Promise<PasswordVerdict> {
    return this.#check<PasswordVerdict>({
      ...{ mechanism: 'password', host, user, whenLocked: 'wrong' },
      judge: () => this.#passwords.verify(user, password),
      read: (verdict) => {
        if (verdict === 'busy') return null
        return verdict === 'right' ? { user } : { user, reason: 'wrong user or password' }
      },
    })
  }

  /** Judges a token for a door without SASL, as `checkPassword` does a password. */
  checkToken(host: string, token: string): Promise<TokenVerdict> {
    const locked = { reason: lockedOutReason, isGuess: true, userName: null } as const
    return this.#check<TokenVerdict>({
      ...{ mechanism: 'token', host, user: null, whenLocked: { kind: 'wrong', status: 'invalid_token', ...locked } },
      judge: () => this.#tokens.check(token),
      read: (verdict) => {
        if (verdict.kind === 'busy') return null
        if (verdict.kind === 'right') return { user: verdict.userName }
        return { user: verdict.userName, reason: verdict.reason, isGuess: verdict.isGuess }
      },
    })
  }

  /** Judges a secret that names its user itself; a wrong one takes its time. Null = wrong. */
  checkSecret<T extends { readonly user: string }>(
    host: string,
    mechanism: string,
    find: () => T | null,
  ): Promise<T | null> {
    return this.#check<T | null>({
      ...{ mechanism, host, user: null, whenLocked: null },
      judge: find,
      read: (found) => (found === null ? { user: null, reason: 'not a token in force' } : { user: found.user }),
    })
  }

  /** What all doors without SASL have in common: whoever is locked out is not judged, and every verdict is counted. */
  async #check<T>(attempt: Attempt<T>): Promise<T> {
    if (this.#isLocked(attempt)) return await this.#refuseLocked(attempt)
    const { mechanism, host } = attempt
    const verdict = await attempt.judge()
    const outcome = attempt.read(verdict)
    if (outcome === null) return verdict
    // Hundreds of guesses that are shown at once are no way around it.
    if (this.#isLocked(attempt)) return await this.#refuseLocked(attempt)
    if ('reason' in outcome) await this.#failed({ mechanism, host, ...outcome })
    else this.#succeeded(mechanism, host, outcome.user)
    return verdict
  }

  #isLocked({ host, user }: Pick<Attempt<unknown>, 'host' | 'user'>): boolean {
    return this.#attempts.isLocked(host, user, this.#parts.clock.monotonicMs())
  }

  async #refuseLocked<T>({ mechanism, host, user, whenLocked }: Attempt<T>): Promise<T> {
    await this.#failed({ mechanism, host, user, reason: lockedOutReason })
    return whenLocked
  }

  get #tokens(): TokenJudge {
    const { tokens = null } = this.#parts
    if (tokens === null) throw new Error('a listener with tokens where there is nothing to check them by')
    return tokens
  }

  #serverOf(mechanism: SaslMechanism): SaslServer {
    if (mechanism === 'GSSAPI') {
      const { kerberos = null } = this.#parts
      if (kerberos === null) throw new Error('a listener with GSSAPI where there is no Kerberos')
      return kerberos()
    }
    if (mechanism === 'OAUTHBEARER') {
      const tokens = this.#tokens
      return new OAuthBearerServer({ check: (token) => tokens.check(token), scope: tokens.requiredScopes })
    }
    const { entropy } = this.#parts
    if (mechanism === 'PLAIN') {
      return new PlainServer(async (userName, password): Promise<SaslStep> => {
        const verdict = await this.#passwords.verify(userName, password)
        if (verdict === 'right') return { kind: 'done', userName, bytes: new Uint8Array(0) }
        if (verdict === 'wrong') return { kind: 'failed', reason: 'wrong user or password' }
        return { kind: 'failed', reason: 'too many passwords wait to be checked', isBusy: true }
      })
    }
    return new ScramServer({
      mechanism,
      nonce: Buffer.from(entropy.bytes(nonceBytes)).toString('base64url'),
      credentialOf: (userName) => this.#lookup.find(userName, mechanism),
    })
  }

  #succeeded(mechanism: string, host: string, user: string): void {
    this.#attempts.succeeded(host, user)
    this.#parts.observer.add(securityMetrics.authentications, 1, { mechanism, outcome: 'done' })
    const principal = userPrincipal(user)
    this.#parts.audit?.recordRepeated(auditTypes.authenticated, principal, { principal, client: host, mechanism })
  }

  /** Resolves when the client may be told. */
  #failed(failure: {
    readonly mechanism: string
    readonly host: string
    readonly user: string | null
    readonly reason: string
    readonly isGuess?: boolean
  }): Promise<void> {
    const { clock, observer, failureDelayMs } = this.#parts
    const { mechanism, host, user, reason, isGuess = true } = failure
    const nowMs = clock.monotonicMs()
    const name = (user ?? '').slice(0, shownNameLengthMax)
    observer.add(securityMetrics.authentications, 1, { mechanism, outcome: 'failed' })
    const principal = user === null ? anonymousPrincipal : userPrincipal(user.slice(0, auditedNameLengthMax))
    this.#parts.audit?.recordRepeated(auditTypes.refused, principal, { principal, client: host, mechanism, reason })
    if (nowMs >= this.#windowEndMs) {
      this.#windowEndMs = nowMs + failureWindowMs
      this.#logged = 0
    }
    if (++this.#logged <= failuresLoggedMax) {
      observer.event(securityEvents.authenticationFailed, { client: host, user: name, mechanism, reason })
    }
    if (isGuess && reason !== lockedOutReason && this.#attempts.failed(host, user, nowMs)) {
      observer.event(securityEvents.lockedOut, { client: host, user: name })
    }
    return new Promise((resolve) => clock.schedule(Math.max(1, failureDelayMs()), resolve))
  }
}

interface ExchangeHost {
  readonly host: string
  isLocked(user: string | null): boolean
  failed(user: string | null, reason: string, isGuess?: boolean): Promise<void>
  succeeded(user: string): void
}

/** One SASL exchange. After `done` or `failed` it is over. */
export class SaslExchange {
  readonly mechanism: SaslMechanism
  readonly #server: SaslServer
  readonly #host: ExchangeHost
  #isRefused = false

  constructor(mechanism: SaslMechanism, server: SaslServer, host: ExchangeHost) {
    this.mechanism = mechanism
    this.#server = server
    this.#host = host
  }

  /** The next step; one at a time. `judge` is the caller's last word on a user that has proved to be who he is. */
  async step(message: Uint8Array, judge: (user: string) => string | null = () => null): Promise<SaslStep> {
    const outcome = this.#host.isLocked(null) ? lockedOut : await this.#server.step(message)
    const { userName } = this.#server
    const isLocked = outcome.kind !== 'failed' && this.#host.isLocked(userName)
    const step = isLocked ? lockedOut : outcome
    if (step.kind === 'continue' && step.refused !== undefined) {
      this.#isRefused = true
      await this.#host.failed(userName, step.refused.reason, step.refused.isGuess)
      return step
    }
    // It has been counted and told already.
    if (step.kind === 'failed' && this.#isRefused) return step
    if (step.kind === 'continue' || (step.kind === 'failed' && step.isBusy === true)) return step
    const objection = step.kind === 'done' ? judge(step.userName) : step.reason
    if (step.kind === 'done' && objection === null) {
      this.#host.succeeded(step.userName)
      return step
    }
    const reason = objection ?? 'refused'
    await this.#host.failed(userName, reason)
    return { kind: 'failed', reason }
  }
}

const lockedOut: SaslStep = { kind: 'failed', reason: lockedOutReason }
