/**
 * Bytes that do not follow the protocol, or a value that cannot be written in the version asked for.
 *
 * Whoever reads from outside catches it: the connection is closed, or the record is skipped with a word. It is never a fault of ours
 * that more reading would mend.
 */
export class ProtocolError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'ProtocolError'
  }
}
