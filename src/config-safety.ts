/**
 * Which listeners other hosts can reach without protection. By default none may be: a start with one fails, with the reason and what to
 * do about it.
 */
import { isLoopbackHost } from './base/loopback.ts'
import type { ListenPlace, TlsClientAuth } from './base/ports.ts'
import type { SaslMechanism } from './security/sasl/sasl-server.ts'

interface Tls {
  readonly clientAuth: TlsClientAuth
}

/** `proxyProtocol`: whoever connects comes through a proxy, from wherever that one lets in. */
interface Place {
  readonly listen: ListenPlace
  readonly tls: Tls | null
  readonly proxyProtocol?: 'off' | 'required'
}

/** What the listeners section says, as far as it matters here. */
export interface WrittenListeners {
  readonly kafka: readonly (Place & { readonly saslMechanisms: readonly string[] })[]
  readonly mqtt: readonly (Place & {
    readonly authentication: 'none' | 'password' | 'token'
    readonly saslMechanisms: readonly string[]
  })[]
  readonly http: Place & { readonly authentication: 'none' | 'required' }
}

export interface UnprotectedListener {
  /** In the listeners section: `['kafka', 0]`. */
  readonly path: readonly (string | number)[]
  /** What is missing, as sentences' parts. */
  readonly reason: string
  /** It listens on the loopback already, for a proxy. */
  readonly isLocal: boolean
}

/** Is an address one that only this machine can reach? A name other than localhost may be anything. */
export function isLoopback(place: ListenPlace): boolean {
  if ('path' in place) return true
  return isLoopbackHost(place.host)
}

/** From other hosts, or through a proxy that they reach. */
function isReachable({ listen, proxyProtocol = 'off' }: Place): boolean {
  return !isLoopback(listen) || proxyProtocol === 'required'
}

function asksForUsers({ authentication, saslMechanisms }: WrittenListeners['mqtt'][number]): boolean {
  return authentication !== 'none' || saslMechanisms.length > 0
}

/** Listeners beyond the loopback that carry plain text, or let anybody in. */
export function unprotectedListeners({ kafka, mqtt, http }: WrittenListeners): readonly UnprotectedListener[] {
  const judge = (
    path: readonly (string | number)[],
    place: Place,
    authentication: { readonly isOn: boolean; readonly remedy: string },
  ): readonly UnprotectedListener[] => {
    if (!isReachable(place)) return []
    const { listen, tls } = place
    const reasons: string[] = []
    // What a proxy on this machine carries before it comes here is the proxy's business.
    if (tls === null && !isLoopback(listen)) reasons.push('it carries plain text (add tls)')
    if (!authentication.isOn && tls?.clientAuth !== 'required') {
      reasons.push(`it lets anybody in (add ${authentication.remedy})`)
    }
    return reasons.length === 0 ? [] : [{ path, reason: reasons.join(' and '), isLocal: isLoopback(listen) }]
  }
  return [
    ...kafka.flatMap((listener, index) =>
      judge(['kafka', index], listener, {
        isOn: listener.saslMechanisms.length > 0,
        remedy: 'saslMechanisms, or tls.clientAuth: required',
      }),
    ),
    ...mqtt.flatMap((listener, index) =>
      judge(['mqtt', index], listener, {
        isOn: asksForUsers(listener),
        remedy: 'authentication: password or token, saslMechanisms, or tls.clientAuth: required',
      }),
    ),
    ...judge(['http'], http, {
      isOn: http.authentication === 'required',
      remedy: 'authentication: required, or tls.clientAuth: required',
    }),
  ]
}

/** Listeners of clients that ask for no name, wherever they listen: `kafka.0`. */
export function namelessListeners({ kafka, mqtt }: Pick<WrittenListeners, 'kafka' | 'mqtt'>): readonly string[] {
  const isNameless = (listener: Place, asks: boolean): boolean => !asks && listener.tls?.clientAuth !== 'required'
  return [
    ...kafka.flatMap((each, index) => (isNameless(each, each.saslMechanisms.length > 0) ? [`kafka.${index}`] : [])),
    ...mqtt.flatMap((each, index) => (isNameless(each, asksForUsers(each)) ? [`mqtt.${index}`] : [])),
  ]
}

/** The same listeners, where those that ask for no name ask for one: Kafka by SASL, MQTT by user name and password. */
export function namedListeners<K extends WrittenListeners['kafka'][number], M extends WrittenListeners['mqtt'][number]>(
  { kafka, mqtt }: { readonly kafka: readonly K[]; readonly mqtt: readonly M[] },
  saslMechanisms: readonly SaslMechanism[],
): { readonly kafka: readonly K[]; readonly mqtt: readonly M[] } {
  const nameless = new Set(namelessListeners({ kafka, mqtt }))
  return {
    kafka: kafka.map((each, index) => (nameless.has(`kafka.${index}`) ? { ...each, saslMechanisms } : each)),
    mqtt: mqtt.map((each, index) => (nameless.has(`mqtt.${index}`) ? { ...each, authentication: 'password' } : each)),
  }
}

/** Whoever comes by a token is known to its issuer, and by a ticket to the realm. */
const knownElsewhere: ReadonlySet<string> = new Set(['OAUTHBEARER', 'GSSAPI'])

function asksForPasswords({ saslMechanisms }: { readonly saslMechanisms: readonly string[] }): boolean {
  return saslMechanisms.some((mechanism) => !knownElsewhere.has(mechanism))
}

/** Does a listener beyond the loopback let users in by their passwords? Then there must be users. */
export function needsUsers({ kafka, mqtt, http }: WrittenListeners): boolean {
  return (
    (isReachable(http) && http.authentication === 'required' && http.tls?.clientAuth !== 'required') ||
    kafka.some((listener) => isReachable(listener) && asksForPasswords(listener)) ||
    mqtt.some(
      (listener) => isReachable(listener) && (listener.authentication === 'password' || asksForPasswords(listener)),
    )
  )
}
