/**
 * A disk of its own for one node, whose kernel counts what is written to it: a file system in a file, on a loop device (as root). What the
 * kernel says of a process counts a whole folio when one byte of it changes, which on a file with large folios is several times too much.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const imageBytes = 12e9
const sectorBytes = 512

export interface CountedDisk {
  readonly folder: string
  /** Bytes that the device has been given, the journal of the file system among them, once all that is dirty has gone out. */
  writtenBytes(): number
  close(): void
}

/** Null where no loop device can be had. */
export function countedDisk(folder: string): CountedDisk | null {
  const image = join(folder, 'disk.img')
  const mountPoint = join(folder, 'disk')
  mkdirSync(mountPoint, { recursive: true })
  writeFileSync(image, '')
  truncateSync(image, imageBytes)
  const run = (program: string, ...words: string[]): string =>
    execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    run('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image)
    run('mount', '-o', 'loop,noatime', image, mountPoint)
  } catch {
    rmSync(image)
    return null
  }
  const device = basename(run('findmnt', '-no', 'SOURCE', mountPoint))
  return {
    folder: mountPoint,
    writtenBytes() {
      run('sync', '-f', mountPoint)
      const fields = readFileSync(`/sys/block/${device}/stat`, 'utf8').trim().split(/\s+/)
      return Number(fields[6]) * sectorBytes
    },
    close() {
      run('umount', mountPoint)
      rmSync(image)
    },
  }
}
