/** A TCP relay on loopback that can cut every connection at a nasty moment: after the request went out, before the answer came back. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface Relay {
  readonly port: number
  /** From now on answers are swallowed; then all connections are cut. Requests on the way still reach the server. */
  swallowThenCut(afterMs: number): Promise<void>
  close(): Promise<void>
}

/** Relays `127.0.0.1:port` (0 = any) to `127.0.0.1:target`. */
export async function startRelay(port: number, target: number): Promise<Relay> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let swallowing = false
  const server: Server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    const pair = [client, upstream] as const
    pairs.add(pair)
    client.on('data', (bytes) => upstream.write(bytes))
    upstream.on('data', (bytes) => {
      if (!swallowing) client.write(bytes)
    })
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        pairs.delete(pair)
        client.destroy()
        upstream.destroy()
      })
    }
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const cutAll = (): void => {
    for (const [client, upstream] of pairs) {
      client.destroy()
      upstream.destroy()
    }
  }
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async swallowThenCut(afterMs) {
      swallowing = true
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      cutAll()
      swallowing = false
    },
    async close() {
      cutAll()
      server.close()
      await once(server, 'close')
    },
  }
}
