import type { LogPiece } from './log-piece.ts'

/**
 * Unpacked batches of which nobody takes more for now. Each counts against what may be unpacked at a time in the whole daemon, so no more of them are
 * kept than that can spare; the others are unpacked again.
 */
export class HeldPieces {
  private readonly bytesMax: number
  private readonly pieces = new Set<LogPiece>()
  private bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** False = there is no room for it. */
  add(piece: LogPiece): boolean {
    if (this.bytes + piece.sizeInBytes > this.bytesMax) return false
    this.pieces.add(piece)
    this.bytes += piece.sizeInBytes
    return true
  }

  delete(piece: LogPiece): void {
    if (this.pieces.delete(piece)) this.bytes -= piece.sizeInBytes
  }
}
