/** Reads the PROXY header off an accepted socket, and no byte of the stream behind it. */
import net from 'node:net'
import { type ProxiedPeer, readProxyHeader } from './proxy-header.ts'

/** What stands behind the header is in `head`, already read. `peer` null: the connection is the proxy's own. */
export interface ProxiedStream {
  readonly peer: ProxiedPeer | null
  readonly head: Buffer
}

/** Calls back once, with the reason when there is no good header; the socket stands still then. Not at all when it closes before. */
export function readProxiedPeer(socket: net.Socket, then: (verdict: ProxiedStream | string) => void): void {
  let bytes: Buffer = Buffer.alloc(0)
  const end = (verdict: ProxiedStream | string): void => {
    socket.off('data', onData)
    socket.off('end', onEnd)
    socket.pause()
    then(verdict)
  }
  const onData = (chunk: Buffer): void => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    // A header of more than its limit is bad: no more than one read is ever kept here.
    const header = readProxyHeader(bytes)
    if (header.kind === 'bad') end(header.reason)
    else if (header.kind === 'read') end({ peer: header.peer, head: bytes.subarray(header.length) })
  }
  const onEnd = (): void => end('the stream ends before it does')
  socket.on('data', onData)
  socket.on('end', onEnd)
  socket.resume()
}

/** Throws on what is neither an address nor a network. */
export function trustedSources(from: readonly string[]): net.BlockList {
  const list = new net.BlockList()
  for (const source of from) {
    const [address = '', bits] = source.split('/')
    const family = net.isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
