/**
 * `headwater doctor --power-cut`: does this disk keep what it has said it kept? One run writes numbered blocks, each flushed before
 * the next is begun, in turn to two files, until the plug is pulled; the next run reads what is there. A block that is missing
 * although a later one is there was acknowledged and lost: the disk, or something above it, lies about flushes. What was lost from
 * the very end shows only to whoever saw the last number on another screen.
 */
import { closeSync, existsSync, fdatasyncSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'

const blockBytes = 4096
/** The files are written round and round in this many blocks each. */
const blocksPerFile = 512
const mark = 'headwater power-cut test '

export interface PowerCutFindings {
  /** Highest number that is there. */
  readonly highest: number
  /** Lowest number that was acknowledged and is not there; null = none. */
  readonly firstMissing: number | null
}

/** The two files of a run. */
export function powerCutFiles(folder: string): readonly [string, string] {
  return [join(folder, 'power-cut-test.0'), join(folder, 'power-cut-test.1')]
}

export function hasPowerCutFiles(folder: string): boolean {
  return powerCutFiles(folder).some((file) => existsSync(file))
}

export function removePowerCutFiles(folder: string): void {
  for (const file of powerCutFiles(folder)) rmSync(file, { force: true })
}

/** Numbers from 1 to where the disk was stopped; `synced` is called with each that a flush has come back for, and ends it by false. */
export function writeUntilCut(folder: string, synced: (number: number) => boolean): void {
  const descriptors = powerCutFiles(folder).map((file) => openSync(file, 'wx', 0o600))
  try {
    const directory = openSync(folder, 'r')
    fsyncSync(directory)
    closeSync(directory)
    for (let number = 1; ; number++) {
      const descriptor = descriptors[number % 2] ?? -1
      writeSync(descriptor, blockOf(number), 0, blockBytes, placeOf(number) * blockBytes)
      fdatasyncSync(descriptor)
      if (!synced(number)) return
    }
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor)
  }
}

/** What an earlier run has left; `last` is the last number that was seen on another screen, null = nobody looked. */
export function readAfterCut(folder: string, last: number | null): PowerCutFindings {
  const found = new Set<number>()
  for (const file of powerCutFiles(folder)) {
    if (!existsSync(file)) continue
    const bytes = readFileSync(file)
    for (let at = 0; at + blockBytes <= bytes.length; at += blockBytes) {
      const number = numberOf(bytes.subarray(at, at + blockBytes))
      if (number !== null) found.add(number)
    }
  }
  const highest = Math.max(0, ...found)
  // The block before the highest had been flushed when that one was begun.
  const acknowledged = Math.max(highest - 1, last ?? 0)
  // Older ones have been written over, the last of them perhaps half.
  const oldest = Math.max(1, Math.max(highest, acknowledged + 1) - 2 * blocksPerFile + 2)
  for (let number = oldest; number <= acknowledged; number++) {
    if (!found.has(number)) return { highest, firstMissing: number }
  }
  return { highest, firstMissing: null }
}

/** Which block of its file a number has. */
function placeOf(number: number): number {
  return Math.floor(number / 2) % blocksPerFile
}

/** A line with the number, filled up with what it hashes to: half a block is none. */
function blockOf(number: number): Buffer {
  const head = Buffer.from(`${mark}${number}\n`)
  const digest = createHash('sha256').update(head).digest()
  const block = Buffer.alloc(blockBytes)
  for (let at = 0; at < blockBytes; at += digest.length) digest.copy(block, at)
  head.copy(block)
  return block
}

function numberOf(block: Buffer): number | null {
  const text = /^headwater power-cut test (\d+)\n/.exec(block.toString('latin1', 0, 64))?.[1]
  if (text === undefined) return null
  const number = Number(text)
  return blockOf(number).equals(block) ? number : null
}
