/** What Node keeps of a plain socket: the one place where we look behind its interface. */

export const handleProperty = '_handle'

export interface SocketInside {
  [handleProperty]: {
    /** Of the system; -1 = closed. */
    readonly fd: number
    reading: boolean
    readStop(): void
  } | null
}
