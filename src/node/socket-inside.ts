/** What Node keeps of a socket: the one place where we look behind its interface. */
import type { Socket } from 'node:net'

export const handleProperty = '_handle'
/** Of a TLS stream: the stream that it wraps. */
export const parentProperty = '_parent'

export interface HandleInside {
  /** Of the system; -1 = closed. */
  readonly fd: number
  reading: boolean
  readStop(): void
}

export interface SocketInside {
  [handleProperty]: HandleInside | null
  readonly [parentProperty]?: Socket | null
}

/** The handle of a socket, which is left without: to destroy it closes nothing. Null when it has none. */
export function takenHandle(socket: Socket): HandleInside | null {
  const inside = socket as unknown as SocketInside
  const handle = inside[handleProperty]
  if (!handle) return null
  // Behind a PROXY header the socket has been reading.
  if (handle.reading) handle.readStop()
  handle.reading = false
  inside[handleProperty] = null
  return handle
}
