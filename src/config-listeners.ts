/**
 * The `listeners` section of the configuration: where clients come in, how they are protected, and through what they come.
 */
import { z } from 'zod'
import type { ListenPlace } from './base/ports.ts'
import { unprotectedListeners } from './config-safety.ts'
import { pathText } from './config-names.ts'
import { address, bytes, count, fileMode, formatAddress, network, place, reachableAddress } from './config-values.ts'

export const listenerCountMax = 16
const patternCountMax = 1_000

/** Each is tried for the name that a client asks for. */
const moreCertificatesMax = 16

const certificatePair = {
  certificate: z.string().min(1).describe('PEM file: the certificate, then the intermediate ones.'),
  key: z.string().min(1).describe('PEM file: the private key of the certificate, not encrypted.'),
}

const tls = z
  .strictObject({
    ...certificatePair,
    moreCertificates: z
      .array(z.strictObject(certificatePair))
      .max(moreCertificatesMax)
      .prefault([])
      .describe(
        'Further certificates: a client that asks for a host name (SNI) which one of them is for, and `certificate` is not, is shown that one.',
      ),
    clientCa: z
      .string()
      .min(1)
      .nullable()
      .prefault(null)
      .describe("PEM file: the authorities whose signature makes a client's certificate good."),
    clientCrl: z
      .string()
      .min(1)
      .nullable()
      .prefault(null)
      .describe(
        'File with the revocation lists (CRL) of these authorities, PEM or DER: a certificate in one is refused, and every one while a list is too old.',
      ),
    clientAuth: z
      .enum(['none', 'requested', 'required'])
      .prefault('none')
      .describe('Must clients show a certificate? `requested`: they may, and one that they show must be good.'),
  })
  .superRefine(({ clientAuth, clientCa, clientCrl }, context) => {
    if (clientCrl !== null && clientCa === null) {
      const message = 'revocation lists mean nothing without the clientCa whose they are'
      context.addIssue({ code: 'custom', path: ['clientCrl'], message })
    }
    if ((clientAuth !== 'none') === (clientCa !== null)) return
    const message =
      clientCa === null
        ? `clientAuth: ${clientAuth} needs a clientCa to judge certificates by`
        : 'a clientCa judges nothing while clientAuth is none'
    context.addIssue({ code: 'custom', path: ['clientCa'], message })
  })
  .nullable()
  .prefault(null)

/** Keys of listeners whose clients may come through a proxy. */
const proxyKeys = {
  proxyProtocol: z
    .enum(['off', 'required'])
    .prefault('off')
    .describe(
      'Does a proxy in front of the listener say whose connection it is, by a PROXY header (v1 or v2)? `required`: a connection without one is closed.',
    ),
  proxyProtocolFrom: z
    .array(network())
    .max(patternCountMax)
    .prefault([])
    .describe('Addresses and networks (CIDR) of the proxies whose PROXY headers are believed.'),
}

const kafkaListener = z
  .strictObject({
    listen: address().describe('Address to listen on, HOST:PORT. Port 0 is any free port.'),
    tls,
    ...proxyKeys,
    saslMechanisms: z
      .array(z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER', 'GSSAPI']))
      .max(5)
      .prefault([])
      .describe(
        'SASL mechanisms by which clients authenticate. Without any, a client is who its certificate says, or `User:ANONYMOUS`.',
      ),
    advertise: reachableAddress()
      .nullable()
      .prefault(null)
      .describe('Address told to clients. Without it a client is told the address its own connection came in on.'),
  })
  .superRefine(judgeProxy)

const webSocket = z
  .strictObject({
    path: z
      .string()
      .regex(/^\/[^\s?#]*$/, 'a path begins with / and holds no spaces, ? or #')
      .prefault('/mqtt')
      .describe('Path of the upgrade request.'),
    allowedOrigins: z
      .array(
        z.union([
          z.literal('*'),
          z.string().regex(/^[a-z][a-z0-9+.-]*:\/\/[^\s/]+$/, 'an origin is SCHEME://HOST[:PORT], or *'),
        ]),
      )
      .max(patternCountMax)
      .prefault([])
      .describe(
        'Origins of web pages whose scripts may connect; `*` = any. Programs, which name no origin, always may.',
      ),
  })
  .nullable()
  .prefault(null)

const mqttListener = z
  .strictObject({
    listen: place().describe(
      'Address to listen on, HOST:PORT (port 0 is any free port), or unix:/PATH for a Unix socket.',
    ),
    mode: fileMode()
      .nullable()
      .prefault(null)
      .describe('Permissions of the file of a Unix socket, in octal; 0660 without.'),
    tls,
    webSocket: webSocket.describe('Clients speak MQTT over WebSocket; with tls it is WSS. `{}` is enough.'),
    ...proxyKeys,
    authentication: z
      .enum(['none', 'password', 'token'])
      .prefault('none')
      .describe(
        'How clients authenticate. `password`: user name and password of CONNECT, checked against the SCRAM credentials. `token`: the password of CONNECT is a token (JWT). `none`: a client is who its certificate says, or `User:ANONYMOUS`.',
      ),
    saslMechanisms: z
      .array(z.enum(['SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER', 'GSSAPI']))
      .max(4)
      .prefault([])
      .describe(
        'SASL mechanisms by which clients of MQTT 5.0 may authenticate (enhanced authentication). With `authentication: none` they must.',
      ),
    packetMax: bytes({ min: 1024, max: 268_435_455 })
      .nullable()
      .prefault(null)
      .describe('Largest packet; without it that of the mqtt section.'),
    connectionsMax: count(1, 100_000).nullable().prefault(null).describe('Open connections of this listener.'),
    connectionsPerAddressMax: count(1, 100_000)
      .nullable()
      .prefault(null)
      .describe(
        'Open connections of one client address (of IPv6: one /64 network) on this listener; without it that of the mqtt section.',
      ),
    connectionsPerSecondMax: count(1, 100_000)
      .nullable()
      .prefault(null)
      .describe('New connections a second on this listener.'),
  })
  .superRefine(judgeProxy)
  .superRefine(({ listen, tls, mode }, context) => {
    const isUnix = 'path' in listen
    if (isUnix && tls !== null) issue(context, ['tls'], 'a Unix socket needs no TLS: only this machine reaches it')
    if (!isUnix && mode !== null) issue(context, ['mode'], 'only the file of a Unix socket has permissions')
  })
  .transform(({ mode, ...listener }) => ({
    ...listener,
    listen: 'path' in listener.listen && mode !== null ? { ...listener.listen, mode } : listener.listen,
  }))

const httpListener = z.strictObject({
  listen: address()
    .prefault('127.0.0.1:9640')
    .describe('Address of health, metrics and status, HOST:PORT. Port 0 is any free port.'),
  tls,
  authentication: z
    .enum(['none', 'required'])
    .prefault('none')
    .describe(
      'Must whoever asks say who they are? `required`: by password, token, session or certificate; health alone is told to everybody, and without reasons.',
    ),
  openMetrics: z
    .boolean()
    .prefault(false)
    .describe('With `authentication: required`: `/metrics` needs no name all the same, for scrapers that have none.'),
  hosts: z
    .array(z.string().regex(/^[a-z0-9.-]{1,255}$/, 'a host name is made of small letters, digits, dot and hyphen'))
    .max(listenerCountMax)
    .prefault([])
    .describe(
      'Names under which a listener in plain text is asked, beside its addresses, localhost and the name of the machine. Any other name is refused: a web page may have pointed it here.',
    ),
})

/** The `listeners` section. */
export const listeners = z
  .strictObject({
    kafka: z
      .array(kafkaListener)
      .min(1)
      .max(listenerCountMax)
      .prefault([{ listen: '127.0.0.1:9092' }])
      .describe('Listeners for Kafka clients.'),
    mqtt: z
      .array(mqttListener)
      .min(1)
      .max(listenerCountMax)
      .prefault([{ listen: '127.0.0.1:1883' }])
      .describe('Listeners for MQTT clients.'),
    http: httpListener.prefault({}).describe('The listener of the operator.'),
    dangerouslyAllowUnprotected: z
      .boolean()
      .prefault(false)
      .describe(
        'Start although other hosts can reach a listener that carries plain text or lets anybody in, and leave listeners without names as they are when there is an administrator. For networks that nobody else can reach.',
      ),
  })
  .superRefine((written, context) => judgePlaces(placesOf(written), context))
  .superRefine((written, context) => {
    if (written.dangerouslyAllowUnprotected) return
    for (const { path, reason, isLocal } of unprotectedListeners(written)) {
      const remedy = `${isLocal ? '' : 'or listen on 127.0.0.1, '}or set listeners.dangerouslyAllowUnprotected: true`
      const message = `other hosts can reach this listener, and ${reason}; ${remedy}`
      context.addIssue({ code: 'custom', path: [...path, 'listen'], message })
    }
  })

interface NamedPlace {
  readonly path: readonly (string | number)[]
  readonly listen: ListenPlace
}

function placesOf(written: {
  readonly kafka: readonly { readonly listen: ListenPlace }[]
  readonly mqtt: readonly { readonly listen: ListenPlace }[]
  readonly http: { readonly listen: ListenPlace }
}): NamedPlace[] {
  const named = (protocol: 'kafka' | 'mqtt') =>
    written[protocol].map(({ listen }, index) => ({ path: [protocol, index], listen }))
  return [...named('kafka'), ...named('mqtt'), { path: ['http'], listen: written.http.listen }]
}

/** Two listeners of one address: the second could not be opened. */
function judgePlaces(places: readonly NamedPlace[], context: z.RefinementCtx): void {
  const taken = new Map<string, NamedPlace>()
  for (const place of places) {
    if ('port' in place.listen && place.listen.port === 0) continue
    const written = formatAddress(place.listen)
    const first = taken.get(written)
    taken.set(written, first ?? place)
    if (first === undefined) continue
    const message = `${pathText(['listeners', ...first.path])} listens on ${written} already`
    context.addIssue({ code: 'custom', path: [...place.path, 'listen'], message })
  }
}

function issue(context: z.RefinementCtx, path: string[], message: string): void {
  context.addIssue({ code: 'custom', path, message })
}

/** A header of anybody would let anybody be anybody. */
function judgeProxy(
  {
    listen,
    proxyProtocol,
    proxyProtocolFrom,
  }: {
    readonly listen: ListenPlace
    readonly proxyProtocol: 'off' | 'required'
    readonly proxyProtocolFrom: readonly string[]
  },
  context: z.RefinementCtx,
): void {
  const isUnix = 'path' in listen
  const isNamed = proxyProtocolFrom.length > 0
  const at = ['proxyProtocolFrom']
  if (isNamed && proxyProtocol === 'off') issue(context, at, 'means nothing while proxyProtocol is off')
  else if (isNamed && isUnix)
    issue(context, at, 'clients of a Unix socket have no address; its permissions say who may be the proxy')
  else if (!isNamed && !isUnix && proxyProtocol === 'required') {
    issue(context, at, 'must name the proxies whose headers are believed')
  }
}
