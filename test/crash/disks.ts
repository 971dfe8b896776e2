/** Where the daemon's data lies: a folder, or a file system of its own whose power can be cut or whose space can be used up. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../interop/case.ts'

export type FileSystem = 'ext4' | 'xfs'

/** SIGKILL only: what the kernel has, it keeps. */
export class PlainDisk {
  readonly dataDir: string
  constructor(folder: string) {
    this.dataDir = join(folder, 'data')
  }
  cut(_flushLog: boolean): void {}
  async restore(): Promise<void> {}
  async close(): Promise<void> {}
}

export interface LoopDiskOptions {
  readonly folder: string
  readonly fileSystem: FileSystem
  readonly mebibytes: number
}

/**
 * An image in a loop device. Its shutdown (one ioctl of xfs that ext4 has taken over) refuses every later write, so that a mount
 * afterwards finds what was synced, and of the rest what the kernel had written back by itself.
 */
export class LoopDisk {
  readonly dataDir: string
  readonly #image: string
  readonly #mount: string
  private constructor(image: string, mount: string) {
    this.#image = image
    this.#mount = mount
    this.dataDir = join(mount, 'data')
  }

  /** Why there can be none here, in a line; null when there can. */
  static missing(fileSystem: FileSystem): string | null {
    if (process.getuid?.() !== 0) return 'skipped: a file system of its own needs root'
    if (!shell(`mkfs.${fileSystem}`, '-V'))
      return `skipped: no mkfs.${fileSystem} (Debian: apt-get install ${fileSystem === 'xfs' ? 'xfsprogs' : 'e2fsprogs'})`
    return shell('losetup', '-f') ? null : 'skipped: no loop devices'
  }

  static create(options: LoopDiskOptions): LoopDisk {
    const image = join(options.folder, 'disk.img')
    const mount = join(options.folder, 'mount')
    mkdirSync(mount)
    // No blocks that only root may fill.
    const make = options.fileSystem === 'ext4' ? ['mkfs.ext4', '-q', '-m', '0', image] : ['mkfs.xfs', '-q', image]
    const [program = '', ...args] = make
    if (!shell('truncate', '-s', `${options.mebibytes}M`, image) || !shell(program, ...args))
      throw new Error(`cannot make ${options.fileSystem} in ${image}`)
    if (!shell('mount', '-o', 'loop', image, mount)) throw new Error(`cannot mount ${image}`)
    return new LoopDisk(image, mount)
  }

  /** With `flushLog` the file system writes its own journal before it goes; what files hold is lost all the same. */
  cut(flushLog: boolean): void {
    const program =
      'import fcntl, os, sys; fcntl.ioctl(os.open(sys.argv[1], 0), 0x8004587d, int(sys.argv[2]).to_bytes(4, "little"))'
    if (!shell('python3', '-c', program, this.#mount, flushLog ? '1' : '2')) throw new Error('no shutdown')
  }

  async restore(): Promise<void> {
    await this.#unmount()
    if (!shell('mount', '-o', 'loop', this.#image, this.#mount)) throw new Error('the file system did not come back')
  }

  async close(): Promise<void> {
    await this.#unmount()
  }

  /** Takes all the space that is left, down to the last block; `giveBack` removes it. */
  fill(): void {
    const file = join(this.#mount, 'of-somebody-else')
    // The free space at once, then what is left in single blocks.
    const free = statfsSync(this.#mount)
    shell('fallocate', '-l', String(free.bfree * free.bsize), file)
    shell('dd', 'if=/dev/zero', `of=${file}-2`, 'bs=4096')
  }

  giveBack(): void {
    if (!shell('rm', '-f', join(this.#mount, 'of-somebody-else'), join(this.#mount, 'of-somebody-else-2')))
      throw new Error('cannot remove the filler')
  }

  get freeBytes(): number {
    const free = statfsSync(this.#mount)
    return free.bavail * free.bsize
  }

  /** Whoever was killed may take a moment to let go. */
  async #unmount(): Promise<void> {
    await until(() => shell('umount', this.#mount), 20_000, `${this.#mount} to be let go`)
  }
}

/** A library that makes every sync of a program do nothing, for LD_PRELOAD; null where there is no C compiler. */
export function noSyncLibrary(folder: string): string | null {
  const source = join(folder, 'no-sync.c')
  const library = join(folder, 'no-sync.so')
  const calls = ['fsync(int fd)', 'fdatasync(int fd)', 'syncfs(int fd)']
  writeFileSync(source, calls.map((call) => `int ${call} { (void)fd; return 0; }\n`).join(''))
  return shell('cc', '-shared', '-fPIC', '-o', library, source) ? library : null
}

/** Runs a program to its end; answers whether it was content. */
export function shell(program: string, ...args: readonly string[]): boolean {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }
  return spawnSync(program, args, { stdio: 'ignore', env }).status === 0
}
