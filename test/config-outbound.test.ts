/** What a mirror shows to its central cluster, as a configuration says it. */
import { describe, expect, it } from 'vitest'
import { configSchema } from '../src/config.ts'
import { mirrorOptions } from '../src/config-rooms.ts'

const mirror = (more: object) => ({
  mirrors: [{ name: 'central', bootstrapServers: ['a:9093'], topics: ['.*'], ...more }],
})
const issuer = { tokenEndpoint: 'https://issuer/token', clientId: 'plant-7', clientSecretFile: 's' }
const ticket = { principal: 'mirror/plant-7@PLANT', keytab: 'k' }
const password = { userName: 'mirror', passwordFile: '/etc/headwater/password' }

describe('a mirror', () => {
  it.each<[string, object, object | null]>([
    ['nothing', {}, { tls: null, sasl: null }],
    ['TLS', { tls: {} }, { tls: { ca: null, certificate: null, key: null, serverName: null }, sasl: null }],
    ['SCRAM in the clear', { sasl: { mechanism: 'SCRAM-SHA-256', ...password } }, null],
    [
      'PLAIN over TLS',
      { tls: { ca: 'ca.pem' }, sasl: { mechanism: 'PLAIN', ...password } },
      {
        tls: { ca: 'ca.pem', certificate: null, key: null, serverName: null },
        sasl: { mechanism: 'PLAIN', ...password },
      },
    ],
    ['a token over TLS', { tls: {}, sasl: { mechanism: 'OAUTHBEARER', tokenFile: 't' } }, null],
    [
      'a token of an issuer',
      { tls: {}, sasl: { mechanism: 'OAUTHBEARER', ...issuer, scope: 'write' } },
      {
        tls: { ca: null, certificate: null, key: null, serverName: null },
        sasl: {
          mechanism: 'OAUTHBEARER',
          endpoint: { url: issuer.tokenEndpoint, clientId: 'plant-7', scope: 'write', isHeaderEncoded: true },
          clientSecretFile: 's',
          caFile: null,
        },
      },
    ],
    [
      'a ticket in the clear',
      { sasl: { mechanism: 'GSSAPI', ...ticket } },
      { tls: null, sasl: { mechanism: 'GSSAPI', ...ticket, serviceName: 'kafka' } },
    ],
  ])('may show %s', (_, more, security) => {
    const [written] = configSchema.parse(mirror(more)).mirrors
    const options = written === undefined ? null : mirrorOptions(written)
    expect(options?.security).toEqual(security ?? expect.anything())
  })

  it.each<[string, object, RegExp]>([
    [
      'a password in the clear',
      { sasl: { mechanism: 'PLAIN', ...password } },
      /sasl\/mechanism: PLAIN would show the secret/,
    ],
    ['a token in the clear', { sasl: { mechanism: 'OAUTHBEARER', tokenFile: 't' } }, /would show the secret/],
    ['a password in the configuration', { sasl: { mechanism: 'PLAIN', userName: 'a', password: 'b' } }, /password/],
    ['a user without a password', { tls: {}, sasl: { mechanism: 'PLAIN', userName: 'a' } }, /needs a password/],
    ['a password without a user', { tls: {}, sasl: { mechanism: 'PLAIN', passwordFile: 'a' } }, /needs a user/],
    [
      'a token with a password',
      { tls: {}, sasl: { mechanism: 'OAUTHBEARER', tokenFile: 't', passwordFile: 'p' } },
      /shows a token/,
    ],
    [
      'a token with a user',
      { tls: {}, sasl: { mechanism: 'OAUTHBEARER', tokenFile: 't', userName: 'p' } },
      /says who it is/,
    ],
    ['a token that is missing', { tls: {}, sasl: { mechanism: 'OAUTHBEARER' } }, /needs a token/],
    [
      'a password with a token',
      { tls: {}, sasl: { mechanism: 'PLAIN', ...password, tokenFile: 't' } },
      /shows a password/,
    ],
    ['a certificate without its key', { tls: { certificate: 'c' } }, /go together/],
    ['a key without its certificate', { tls: { key: 'c' } }, /go together/],
    ['a mechanism that there is not', { tls: {}, sasl: { mechanism: 'EXTERNAL' } }, /mechanism/],
    ['a ticket without keys', { sasl: { mechanism: 'GSSAPI', principal: 'a@B' } }, /keytab: GSSAPI needs the keys/],
    ['a ticket of nobody', { sasl: { mechanism: 'GSSAPI', keytab: 'k' } }, /principal: GSSAPI needs a principal/],
    ['a principal without a realm', { sasl: { mechanism: 'GSSAPI', ...ticket, principal: 'mirror' } }, /NAME@REALM/],
    [
      'a ticket with a user',
      { sasl: { mechanism: 'GSSAPI', ...ticket, userName: 'a' } },
      /userName: GSSAPI shows a ticket/,
    ],
    [
      'a password with a principal',
      { tls: {}, sasl: { mechanism: 'PLAIN', ...password, principal: 'a@B' } },
      /principal: PLAIN shows a password/,
    ],
    [
      'an issuer in the clear',
      { tls: {}, sasl: { mechanism: 'OAUTHBEARER', ...issuer, tokenEndpoint: 'http://issuer/token' } },
      /tokenEndpoint: whoever is on the way could read the secret/,
    ],
    [
      'a file as an issuer',
      { tls: {}, sasl: { mechanism: 'OAUTHBEARER', ...issuer, tokenEndpoint: 'file:///token' } },
      /named by tokenFile/,
    ],
    [
      'two sources of a token',
      { tls: {}, sasl: { mechanism: 'OAUTHBEARER', ...issuer, tokenFile: 't' } },
      /tokenFile: there is a tokenEndpoint/,
    ],
    [
      'an issuer that is told no secret',
      { tls: {}, sasl: { mechanism: 'OAUTHBEARER', ...issuer, clientSecretFile: null } },
      /clientSecretFile: the issuer asks/,
    ],
    [
      'a scope for a token in a file',
      { tls: {}, sasl: { mechanism: 'OAUTHBEARER', tokenFile: 't', scope: 's' } },
      /scope: means nothing/,
    ],
  ])('is refused with %s', (_, more, message) => {
    const { error } = configSchema.safeParse(mirror(more))
    expect(
      (error?.issues ?? []).map(({ path, message: text }) => `${path.slice(2).join('/')}: ${text}`).join('; '),
    ).toMatch(message)
  })
})
