/** A real OpenID provider (oidc-provider) on the loopback: clients get signed tokens by the client credentials grant. */
import { strict as assert } from 'node:assert'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Provider } from 'oidc-provider'

export interface IssuerOptions {
  /** How long its tokens last. */
  readonly tokenSeconds: number
  readonly port?: number
  /** Names the signing key: another name, another key. */
  readonly keyId: string
}

export const audience = 'headwater'
export const writeScope = 'plant.write'
/** By name: who may ask for the scope, and whose tokens lack it. */
export const clients = { writer: 'writer-secret', reader: 'reader-secret' } as const
export type ClientName = keyof typeof clients

export class Issuer {
  readonly url: string
  readonly port: number
  readonly #server: Server

  static async start(options: IssuerOptions): Promise<Issuer> {
    const server = createServer()
    server.listen(options.port ?? 0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    server.on('request', new Provider(url, configuration(options)).callback())
    return new Issuer(server, url, port)
  }

  private constructor(server: Server, url: string, port: number) {
    this.#server = server
    this.url = url
    this.port = port
  }

  get keysUrl(): string {
    return `${this.url}/jwks`
  }

  get tokenUrl(): string {
    return `${this.url}/token`
  }

  /** A token of a client, as it would ask for it itself. */
  async token(client: ClientName, scope: string = writeScope): Promise<string> {
    const answer = await fetch(this.tokenUrl, {
      method: 'POST',
      headers: {
        connection: 'close',
        authorization: `Basic ${Buffer.from(`${client}:${clients[client]}`).toString('base64')}`,
      },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...(scope === '' ? {} : { scope }) }),
    })
    const body = (await answer.json()) as { readonly access_token?: string }
    assert.equal(answer.status, 200, JSON.stringify(body))
    return body.access_token ?? ''
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

function configuration({ tokenSeconds, keyId }: IssuerOptions): object {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = { ...privateKey.export({ format: 'jwk' }), kid: keyId, alg: 'RS256', use: 'sig' }
  const server = {
    scope: writeScope,
    audience,
    accessTokenTTL: tokenSeconds,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  }
  return {
    clients: Object.entries(clients).map(([name, secret]) => ({
      client_id: name,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    jwks: { keys: [key] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:headwater',
        getResourceServerInfo: () => server,
      },
    },
  }
}
