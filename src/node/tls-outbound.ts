/** TLS towards others: the server must prove its name by an authority that we trust; TLS 1.2 and 1.3. */
import tls from 'node:tls'
import { isIP } from 'node:net'
import type { ListenAddress, OutboundTls } from '../base/ports.ts'
import { backlogBytesMark, keepAliveMs } from './stream-marks.ts'

/** A stream that is encrypted once `secureConnect` is told. Throws when the material cannot be used. */
export function connectSecurely(address: ListenAddress, material: OutboundTls): tls.TLSSocket {
  const { ca, certificate, key, serverName } = material
  const name = serverName ?? address.host
  const socket = tls.connect({
    host: address.host,
    port: address.port,
    // An address is no server name (RFC 6066); it is looked for in the certificate all the same.
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_host, shown) => tls.checkServerIdentity(name, shown),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ...(ca === null ? {} : { ca: Buffer.from(ca) }),
    ...(certificate === null ? {} : { cert: Buffer.from(certificate) }),
    ...(key === null ? {} : { key: Buffer.from(key) }),
    ...{ highWaterMark: backlogBytesMark },
  })
  socket.setNoDelay(true)
  socket.setKeepAlive(true, keepAliveMs)
  return socket
}
