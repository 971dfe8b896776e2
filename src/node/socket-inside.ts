/** What Node keeps of a socket: the one place where we look behind its interface. */
import type { Socket } from 'node:net'

export const handleProperty = '_handle'
/** Of a TLS stream: the stream that it wraps. */
export const parentProperty = '_parent'

export interface SocketInside {
  [handleProperty]: {
    /** Of the system; -1 = closed. */
    readonly fd: number
    reading: boolean
    readStop(): void
  } | null
  readonly [parentProperty]?: Socket | null
}
