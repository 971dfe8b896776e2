/** What a mirror shows to its central cluster, as a configuration says it. */
import { describe, expect, it } from 'vitest'
import { configSchema } from '../src/config.ts'
import { mirrorOptions } from '../src/config-rooms.ts'

const mirror = (more: object) => ({
  mirrors: [{ name: 'central', bootstrapServers: ['a:9093'], topics: ['.*'], ...more }],
})
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
    ['a mechanism that there is not', { tls: {}, sasl: { mechanism: 'GSSAPI' } }, /mechanism/],
  ])('is refused with %s', (_, more, message) => {
    const { error } = configSchema.safeParse(mirror(more))
    expect(
      (error?.issues ?? []).map(({ path, message: text }) => `${path.slice(2).join('/')}: ${text}`).join('; '),
    ).toMatch(message)
  })
})
