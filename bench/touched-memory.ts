/**
 * Memory as it is on a machine that has been up for a while. Where a hypervisor gives a page at its first touch, and takes it back when it
 * has been free for some seconds, a write takes three times as long in memory that nobody has used yet: then a measure tells how much of
 * that was met, and a load over more memory than another looks slower for it.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'

const pieceBytes = 4 * 1_048_576
/** Stays free for programs. */
const leftBytes = 2 ** 30

/** Fills the page cache from a file of holes in `folder`: what is taken from then on has been touched. It lasts as long as the file. */
export function touchMemory(folder: string): void {
  const free = Number(/MemFree:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024
  const file = openSync(join(folder, 'holes'), 'w+')
  const bytes = Math.max(0, free - leftBytes)
  ftruncateSync(file, bytes)
  const piece = new Uint8Array(pieceBytes)
  for (let at = 0; at < bytes; at += pieceBytes) readSync(file, piece, 0, pieceBytes, at)
  closeSync(file)
}
