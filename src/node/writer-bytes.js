/** How the writer thread brings bytes into a file, all of them: from memory, or from another file. */
import fs from 'node:fs'

/** What goes from file to file passes through so much at a time. */
const memoryBytes = 1_048_576
/** @type {Uint8Array | null} */
let memory = null

/**
 * Two pieces of memory go behind each other. The numbers are read where they stand: a list of them for each batch would be garbage.
 * @param {number} fd
 * @param {Uint8Array} bytes
 * @param {ArrayLike<number>} numbers
 * @param {number} at position in the file, then offset and length of each piece
 */
export function writeTwo(fd, bytes, numbers, at) {
  const position = numbers[at] ?? 0
  const length = numbers[at + 2] ?? 0
  writeAll(fd, bytes, { offset: numbers[at + 1] ?? 0, length, position })
  writeAll(fd, bytes, { offset: numbers[at + 3] ?? 0, length: numbers[at + 4] ?? 0, position: position + length })
}

/**
 * @param {number} fd
 * @param {Uint8Array} bytes
 * @param {{ offset: number, length: number, position: number }} piece of `bytes`, and where it goes
 */
function writeAll(fd, bytes, { offset, length, position }) {
  checkPlace(position)
  for (let done = 0; done < length; ) {
    const written = fs.writeSync(fd, bytes, offset + done, length - done, position + done)
    if (written === 0) throw Object.assign(new Error('nothing was written'), { code: 'EIO' })
    done += written
  }
}

/**
 * Pieces of one file go behind each other into another, in as few writes as the memory allows.
 * @param {number} from
 * @param {number} to
 * @param {number} position in `to`
 * @param {number[]} pieces position and length of each, in `from`
 */
export function copyPieces(from, to, position, pieces) {
  memory ??= new Uint8Array(memoryBytes)
  let gathered = 0
  let at = position
  for (let index = 0; index < pieces.length; index += 2) {
    let source = pieces[index] ?? 0
    let left = pieces[index + 1] ?? 0
    checkPlace(source)
    while (left > 0) {
      const count = fs.readSync(from, memory, gathered, Math.min(left, memoryBytes - gathered), source)
      if (count === 0) throw Object.assign(new Error('the file ends before the piece'), { code: 'EIO' })
      gathered += count
      source += count
      left -= count
      if (gathered < memoryBytes) continue
      writeAll(to, memory, { offset: 0, length: gathered, position: at })
      at += gathered
      gathered = 0
    }
  }
  writeAll(to, memory, { offset: 0, length: gathered, position: at })
}

/**
 * Node takes a number that is not whole for the place where the file stands by chance.
 * @param {number} position
 */
function checkPlace(position) {
  if (!Number.isSafeInteger(position)) throw Object.assign(new Error(`no place in a file: ${position}`), { code: 'EINVAL' })
}
