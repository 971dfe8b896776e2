/** Where the daemon's data lies: a folder, or a file system of its own whose power can be cut. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type FileSystem = 'ext4' | 'xfs'

/** SIGKILL only: what the kernel has, it keeps. */
export class PlainDisk {
  readonly dataDir: string
  constructor(folder: string) {
    this.dataDir = join(folder, 'data')
  }
  cut(): void {}
  restore(): void {}
  close(): void {}
}

/** An image in a loop device whose shutdown drops what was not synced, the file system's journal included. */
export class PowerCutDisk {
  readonly dataDir: string
  readonly #image: string
  readonly #mount: string
  private constructor(image: string, mount: string) {
    this.#image = image
    this.#mount = mount
    this.dataDir = join(mount, 'data')
  }
  /** Null where there is no root, no loop device, or a program is missing. */
  static create(folder: string, fileSystem: FileSystem): PowerCutDisk | null {
    const image = join(folder, 'disk.img')
    const mount = join(folder, 'mount')
    mkdirSync(mount)
    const prepared = shell('truncate', '-s', '2G', image) && shell(`mkfs.${fileSystem}`, '-q', image)
    if (!prepared || !shell('mount', '-o', 'loop', image, mount)) return null
    if (!shell('xfs_io', '-V')) {
      shell('umount', mount)
      return null
    }
    return new PowerCutDisk(image, mount)
  }
  cut(): void {
    if (!shell('xfs_io', '-x', '-c', 'shutdown', this.#mount)) throw new Error('the file system did not shut down')
  }
  restore(): void {
    if (!shell('umount', this.#mount) || !shell('mount', '-o', 'loop', this.#image, this.#mount)) {
      throw new Error('the file system did not come back')
    }
  }
  close(): void {
    shell('umount', this.#mount)
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

/** System calls that change files: those of the writer, whose thread does nothing else. */
const fileCalls = 'pwrite64,pwritev,fdatasync,fsync,ftruncate,rename,unlink,mkdir,rmdir'

/** Words before a command that kill it with its `count`th call that changes a file; null where strace cannot. */
export function killedAtCall(count: number): readonly string[] {
  const inject = `inject=${fileCalls}:signal=SIGKILL:when=${count}`
  return ['strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', `trace=${fileCalls}`, '-e', inject]
}

export function canTrace(): boolean {
  return shell('strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=fsync', 'true')
}

function shell(program: string, ...args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}
