/**
 * The header that a proxy puts in front of a stream to say whose it is: version 1 (a line of text) and version 2 (binary) of HAProxy's
 * PROXY protocol. Pure: bytes in, a verdict out.
 */
import net from 'node:net'
import { crc32c } from '../base/crc32c.ts'

/** Longest header that is read: an address of the largest family and a few hundred bytes of extensions. */
export const proxyHeaderBytesMax = 536
/** Version 1, with its line end. */
const textBytesMax = 107
const signature = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
const fixedBytes = 16
const textStart = Buffer.from('PROXY ')
const crcExtension = 0x03
const extensionHeaderBytes = 3

export interface ProxiedPeer {
  readonly remoteHost: string
  readonly remotePort: number
  readonly localHost: string
  readonly localPort: number
}

export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'bad'; readonly reason: string }
  /** `peer` null: the proxy speaks for itself (a health check), or of a family without addresses. */
  | { readonly kind: 'read'; readonly length: number; readonly peer: ProxiedPeer | null }

const incomplete: ProxyHeader = { kind: 'incomplete' }

/** Reads a header off the beginning of a stream. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (isStartOf(bytes, signature)) return bytes.length < fixedBytes ? incomplete : readBinary(bytes)
  if (isStartOf(bytes, textStart)) return readText(bytes)
  return bad('the stream does not begin with one')
}

/** Does the stream agree with `expected`, as far as both go? */
function isStartOf(bytes: Buffer, expected: Buffer): boolean {
  const length = Math.min(bytes.length, expected.length)
  return bytes.subarray(0, length).equals(expected.subarray(0, length))
}

function bad(reason: string): ProxyHeader {
  return { kind: 'bad', reason }
}

// ----------------------------------------------------------------------------------------------- version 1

function readText(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, textBytesMax).indexOf('\r\n')
  if (end === -1) return bytes.length >= textBytesMax ? bad('its line has no end') : incomplete
  const length = end + 2
  const [, family, remote = '', local = '', remotePort = '', localPort = '', ...more] = bytes
    .toString('latin1', 0, end)
    .split(' ')
  // What follows UNKNOWN is to be ignored.
  if (family === 'UNKNOWN') return { kind: 'read', length, peer: null }
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : 0
  if (version === 0 || more.length > 0) return bad('its line is not understood')
  if (net.isIP(remote) !== version || net.isIP(local) !== version) return bad('its addresses are none')
  if (!isPort(remotePort) || !isPort(localPort)) return bad('its ports are none')
  return { kind: 'read', length, peer: peerOf(version, [remote, Number(remotePort)], [local, Number(localPort)]) }
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

// ----------------------------------------------------------------------------------------------- version 2

function readBinary(bytes: Buffer): ProxyHeader {
  const versionAndCommand = bytes.readUInt8(12)
  const length = fixedBytes + bytes.readUInt16BE(14)
  if (versionAndCommand >>> 4 !== 2) return bad(`its version is ${versionAndCommand >>> 4}`)
  const command = versionAndCommand & 15
  if (command > 1) return bad(`its command is ${command}`)
  if (length > proxyHeaderBytesMax) return bad(`it is ${length} bytes long, the limit is ${proxyHeaderBytesMax}`)
  if (bytes.length < length) return incomplete
  // LOCAL: whatever follows is to be skipped.
  if (command === 0) return { kind: 'read', length, peer: null }
  const family = bytes.readUInt8(13)
  const addressBytes = addressBytesOf.get(family)
  if (addressBytes === undefined) return bad(`it is of the family 0x${family.toString(16)}, not of a stream`)
  const end = fixedBytes + addressBytes
  if (length < end) return bad('its addresses are cut off')
  const fault = extensionsFault(bytes, end, length)
  return fault === null ? { kind: 'read', length, peer: addressesOf(bytes, family) } : bad(fault)
}

/** Bytes of addresses by family and transport: unspecified, TCP over IPv4, over IPv6, a Unix stream. */
const addressBytesOf: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x21, 36],
  [0x31, 216],
])

function addressesOf(bytes: Buffer, family: number): ProxiedPeer | null {
  const at = fixedBytes
  if (family === 0x11) {
    const remote = [...bytes.subarray(at, at + 4)].join('.')
    const local = [...bytes.subarray(at + 4, at + 8)].join('.')
    return peerOf(4, [remote, bytes.readUInt16BE(at + 8)], [local, bytes.readUInt16BE(at + 10)])
  }
  if (family !== 0x21) return null
  return peerOf(
    6,
    [hextets(bytes, at), bytes.readUInt16BE(at + 32)],
    [hextets(bytes, at + 16), bytes.readUInt16BE(at + 34)],
  )
}

function hextets(bytes: Buffer, at: number): string {
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(at + 2 * index).toString(16)).join(':')
}

/** The extensions must fill what is left; a checksum among them must be right. */
function extensionsFault(bytes: Buffer, start: number, end: number): string | null {
  for (let at = start; at < end; ) {
    if (end - at < extensionHeaderBytes) return 'an extension is cut off'
    const value = at + extensionHeaderBytes
    const next = value + bytes.readUInt16BE(at + 1)
    if (next > end) return 'an extension is cut off'
    if (bytes.readUInt8(at) === crcExtension) {
      if (next - value !== 4) return 'its checksum is not of 4 bytes'
      const covered = Buffer.from(bytes.subarray(0, end)).fill(0, value, next)
      if (crc32c(covered) !== bytes.readUInt32BE(value)) return 'its checksum is wrong'
    }
    at = next
  }
  return null
}

/** In the one spelling of an address that the rest of the house compares. */
function peerOf(version: 4 | 6, remote: readonly [string, number], local: readonly [string, number]): ProxiedPeer {
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const canonical = (address: string): string => plainAddress(new net.SocketAddress({ address, family }).address)
  return {
    remoteHost: canonical(remote[0]),
    remotePort: remote[1],
    localHost: canonical(local[0]),
    localPort: local[1],
  }
}

/** An IPv4 address that came in on an IPv6 socket, as IPv4. */
export function plainAddress(address: string | undefined): string {
  return address?.replace(/^::ffff:(?=\d+\.)/i, '') ?? ''
}
