import { describe, expect, it } from 'vitest'
import type { DocumentRequest, GssInitiator } from '../../src/base/ports.ts'
import { OutboundCredentials, type OutboundFiles } from '../../src/security/outbound-credentials.ts'

const pem = (label: string, text = 'AAAA'): string => `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----\n`

/** Credentials over files in memory. */
function withFiles(files: OutboundFiles, content: Readonly<Record<string, string>>) {
  const stored = new Map(Object.entries(content))
  const told: string[] = []
  const disk = {
    readFile: async (path: string, bytesMax: number) => {
      const text = stored.get(path)
      if (text !== undefined && text.length > bytesMax) throw new Error(`${path} is larger than ${bytesMax} bytes`)
      return text === undefined ? null : Buffer.from(text)
    },
  }
  const nothing = (): void => {}
  const observer = {
    event: (definition: { readonly id: string }, fields: object) =>
      void told.push(`${definition.id} ${JSON.stringify(fields)}`),
    add: nothing,
    set: nothing,
    observe: nothing,
    remove: nothing,
  }
  const asked: DocumentRequest[] = []
  const net = {
    fetchDocument: async (request: DocumentRequest) => {
      asked.push(request)
      return Buffer.from(
        JSON.stringify({ access_token: `token-${asked.length}`, expires_in: 60, token_type: 'Bearer' }),
      )
    },
  }
  const compute = {
    gssInitiator: (...words: readonly string[]) => ({ words }) as unknown as GssInitiator,
  }
  let nowMs = 0
  const ports = { disk, observer, net, compute, clock: { monotonicMs: () => nowMs } }
  const credentials = new OutboundCredentials('mirror central', files, ports)
  return { credentials, stored, told, asked, pass: (ms: number) => void (nowMs += ms) }
}

const byPassword: OutboundFiles = {
  tls: { ca: '/ca', certificate: '/cert', key: '/key', serverName: 'central' },
  sasl: { mechanism: 'SCRAM-SHA-512', userName: 'mirror', passwordFile: '/password' },
}
const good = {
  '/ca': pem('CERTIFICATE'),
  '/cert': pem('CERTIFICATE'),
  '/key': pem('PRIVATE KEY'),
  '/password': 'secret\n',
}

describe('what we show to others', () => {
  it('is read anew each time', async () => {
    const { credentials, stored } = withFiles(byPassword, good)
    expect(await credentials.login('central')).toEqual({
      mechanism: 'SCRAM-SHA-512',
      userName: 'mirror',
      password: 'secret',
    })
    expect(await credentials.tls()).toMatchObject({ serverName: 'central', key: Buffer.from(good['/key']) })
    stored.set('/password', 'second\r\nnotes of an operator\n').set('/key', pem('EC PRIVATE KEY', 'BBBB'))
    expect(await credentials.login('central')).toMatchObject({ password: 'second' })
    expect(await credentials.tls()).toMatchObject({ key: Buffer.from(pem('EC PRIVATE KEY', 'BBBB')) })
  })

  it('goes on as it was while a file cannot be used, which is told once and without what is in it', async () => {
    const { credentials, stored, told } = withFiles(byPassword, good)
    await credentials.login('central')
    await credentials.tls()
    stored.set('/password', '\ncanary').delete('/ca')
    stored.set('/key', 'canary')
    for (let times = 0; times < 3; times++) {
      expect(await credentials.login('central')).toMatchObject({ password: 'secret' })
      expect(await credentials.login('central')).toMatchObject({ password: 'secret' })
    }
    for (let times = 0; times < 3; times++)
      expect(await credentials.tls()).toMatchObject({ key: Buffer.from(good['/key']) })
    expect(told).toHaveLength(2)
    expect(told.join()).toMatch(/outbound-credentials-refused.*\/password is empty.*there is no file \/ca/)
    expect(told.join()).not.toContain('canary')
    stored.set('/password', 'third')
    expect(await credentials.login('central')).toMatchObject({ password: 'third' })
  })

  it.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ['a missing password', { '/password': '' }, /password is empty/],
    ['a password of a line feed', { '/password': '\n' }, /password is empty/],
    ['a password with a zero', { '/password': 'a\0b' }, /zero byte/],
    ['a huge password', { '/password': 'p'.repeat(70_000) }, /larger than/],
  ])('is not there with %s', async (_, change, message) => {
    const { credentials } = withFiles(byPassword, { ...good, ...change })
    await expect(credentials.login('central')).rejects.toThrow(message)
  })

  it.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ['a certificate that is none', { '/cert': 'x' }, /\/cert holds no CERTIFICATE/],
    ['a key in place of authorities', { '/ca': pem('PRIVATE KEY') }, /\/ca holds no CERTIFICATE/],
    ['a certificate in place of a key', { '/key': pem('CERTIFICATE') }, /\/key holds no PRIVATE KEY/],
  ])('is not there with %s', async (_, change, message) => {
    const { credentials } = withFiles(byPassword, { ...good, ...change })
    await expect(credentials.tls()).rejects.toThrow(message)
  })

  it('may be a token, or nothing', async () => {
    const token = withFiles(
      { tls: null, sasl: { mechanism: 'OAUTHBEARER', tokenFile: '/token' } },
      { '/token': 'a.b.c\n' },
    )
    expect(await token.credentials.login('central')).toEqual({ mechanism: 'OAUTHBEARER', token: 'a.b.c' })
    expect(await token.credentials.tls()).toBeNull()
    expect(withFiles({ tls: null, sasl: null }, {}).credentials.hasLogin).toBe(false)
  })

  it('may be a token of an issuer, asked for with the secret in force and kept while it is fresh', async () => {
    const endpoint = { url: 'https://issuer/token', clientId: 'plant-7', scope: 'write', isHeaderEncoded: true }
    const sasl = { mechanism: 'OAUTHBEARER', endpoint, clientSecretFile: '/secret', caFile: '/ca' } as const
    const { credentials, asked, stored, pass } = withFiles(
      { tls: null, sasl },
      { '/secret': 'first\n', '/ca': good['/ca'] },
    )
    const token = async (): Promise<unknown> => credentials.login('central')
    expect(await token()).toEqual({ mechanism: 'OAUTHBEARER', token: 'token-1' })
    pass(25_000)
    expect(await token()).toMatchObject({ token: 'token-1' })
    pass(10_000)
    expect(await token()).toMatchObject({ token: 'token-2' })
    stored.set('/secret', 'second')
    expect(await token()).toMatchObject({ token: 'token-3' })
    const secretOf = ({ form }: DocumentRequest): string =>
      Buffer.from(form?.authorization.slice('Basic '.length) ?? '', 'base64').toString()
    expect(asked.map(secretOf)).toEqual(['plant-7:first', 'plant-7:first', 'plant-7:second'])
    expect(asked[0]).toMatchObject({ url: endpoint.url, ca: Buffer.from(good['/ca']) })
    expect(asked[0]?.form?.fields).toEqual({ grant_type: 'client_credentials', scope: 'write' })
  })

  it('may be a ticket for the service at the host that is connected to', async () => {
    const sasl = { mechanism: 'GSSAPI', principal: 'mirror@PLANT', keytab: '/keys', serviceName: 'kafka' } as const
    const { credentials } = withFiles({ tls: null, sasl }, {})
    expect(await credentials.login('b1.central')).toEqual({
      mechanism: 'GSSAPI',
      context: { words: ['/keys', 'mirror@PLANT', 'kafka@b1.central'] },
    })
  })
})
