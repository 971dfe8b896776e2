/**
 * The C add-on (addon/headwater.c) with a fallback in JavaScript for each of its functions.
 *
 * | function       | without the add-on                                                                       |
 * |----------------|------------------------------------------------------------------------------------------|
 * | sdNotify       | `systemd-notify` as a child process (the unit needs NotifyAccess=all)                     |
 * | readNoWait     | never hot: the caller reads asynchronously                                               |
 * | lock functions | null: file-lock.ts uses a pid file, which only Headwater honours                          |
 * | preallocate    | false: blocks are taken when they are written                                            |
 * | returnLarge    | false: the C library keeps some of what was freed                                          |
 * | dropFromCache  | false: the kernel decides alone                                                          |
 * | place          | V8's `set`, which takes 3.5 us for 16 KB into memory that threads share, and not 1.6        |
 * | syncFileSystem | -EOPNOTSUPP: many files are synced one after the other                                   |
 * | sendEach       | false: each socket writes for itself                                                     |
 * | receiver       | null: each socket reads for itself                                                       |
 * | file           | null: the writer thread syncs file by file, however many there are                       |
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { loadHeadwaterAddOn } from './assets.ts'

/** What headwater.c exports: each answers a number, -errno on failure. */
interface NativeAddOn {
  notify(socketPath: string, state: string): number
  readNoWait(fd: number, bytes: Uint8Array, position: number): number
  lockFile(fd: number): number
  unlockFile(fd: number): number
  lockHolder(fd: number): number
  preallocate(fd: number, position: number, length: number): number
  writeBack(fd: number): number | Promise<number>
  returnLarge(bytes: number): number
  advise(fd: number, position: number, length: number, advice: number): number
  place(target: Uint8Array, at: number, source: Uint8Array): number
  sendEach(targets: Int32Array, count: number, bytes: Uint8Array): number
  receiverOpen(bytes: Uint8Array, rows: Int32Array, callback: (count: number) => void): unknown
  receiverWatch(receiver: unknown, fd: number, id: number): number
  receiverForget(receiver: unknown, fd: number): number
  receiverClose(receiver: unknown): number
}

/** Sockets that are read in one go (addon/receive.h). */
export interface Receiver {
  /** Reads this socket from now on, as long as it is open; false when the kernel refuses. */
  watch(fd: number, id: number): boolean
  /** Once for each `watch` that answered true; -1 for a descriptor that is closed. */
  forget(fd: number): void
  /** The last call. */
  close(): void
}

/** Below this the call costs more than what it saves. */
const placedBytes = 1024
/** POSIX_FADV_DONTNEED on Linux. */
const adviceDontNeed = 4

export class AddOn {
  readonly #native: NativeAddOn | null
  /** Why there is no add-on; null when there is one. */
  readonly missingBecause: string | null
  /** Where it was loaded from, for other threads; null = there is none. */
  readonly file: string | null

  /** Loads the add-on; `without` gives the fallbacks only. */
  constructor(options: { readonly without?: boolean } = {}) {
    let native: NativeAddOn | null = null
    let file: string | null = null
    let reason: string | null = null
    try {
      if (options.without) throw new Error('switched off')
      const loaded = loadHeadwaterAddOn()
      native = loaded.exports as NativeAddOn
      file = loaded.file
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error)
    }
    this.#native = native
    this.missingBecause = reason
    this.file = file
  }

  /** Tells the service manager (`READY=1`, `WATCHDOG=1` ...); false when there is none to tell or it does not listen. */
  sdNotify(state: string, socketPath: string | undefined = process.env['NOTIFY_SOCKET']): boolean {
    if (!socketPath) return false
    if (this.#native) return this.#native.notify(socketPath, state) >= 0
    const child = spawn('systemd-notify', [`--pid=${process.pid}`, ...state.split('\n')], {
      env: { ...process.env, NOTIFY_SOCKET: socketPath },
      stdio: 'ignore',
    })
    // There is nobody to tell about a service manager that cannot be told.
    child.on('error', () => {})
    return true
  }

  /** Bytes read into `bytes` from the page cache, or null when that would wait for the device. Never throws. */
  readNoWait(fd: number, bytes: Uint8Array, position: number): number | null {
    const count = this.#native?.readNoWait(fd, bytes, position) ?? -1
    return count < 0 ? null : count
  }

  /** Takes the lock that java.nio takes: true held, false another process has it, null no such thing here. */
  lockFile(fd: number): boolean | null {
    if (!this.#native) return null
    const result = this.#native.lockFile(fd)
    if (result >= 0) return true
    if (-result === constants.errno.EAGAIN || -result === constants.errno.EACCES) return false
    // A file system without locks (ENOLCK, ENOSYS): as if there were no add-on.
    return null
  }

  unlockFile(fd: number): void {
    this.#native?.unlockFile(fd)
  }

  /** Process id of the other holder, or null when it is gone or cannot be told. */
  lockHolder(fd: number): number | null {
    const holder = this.#native?.lockHolder(fd) ?? -1
    return holder > 0 ? holder : null
  }

  /** Takes blocks for a byte range without a change of the file's size; false when that cannot be had. */
  preallocate(fd: number, position: number, length: number): boolean {
    return (this.#native?.preallocate(fd, position, length) ?? -1) >= 0
  }

  /** From this size on, memory outside of V8's heap goes back to the system as soon as it is freed; false when that cannot be had. */
  returnLarge(bytes: number): boolean {
    return (this.#native?.returnLarge(bytes) ?? -1) >= 0
  }

  /** Lets a clean byte range go from the page cache; false when that cannot be had. */
  dropFromCache(fd: number, position: number, length: number): boolean {
    return (this.#native?.advise(fd, position, length, adviceDontNeed) ?? -1) >= 0
  }

  /** Copies `source` to `at` of `target`, which may be memory that threads share. Throws RangeError when it has no room there. */
  place(target: Uint8Array, at: number, source: Uint8Array): void {
    const isSmall = source.length < placedBytes
    if (isSmall || (this.#native?.place(target, at, source) ?? -1) < 0) target.set(source, at)
  }

  /**
   * Hands bytes to `count` sockets in one call: `targets` are pairs of a descriptor and the end of its bytes, which begin where those of the one
   * before end. The ends become what the kernel took, or -errno. False, and nothing is sent, when that cannot be had.
   */
  sendEach(targets: Int32Array, count: number, bytes: Uint8Array): boolean {
    return (this.#native?.sendEach(targets, count, bytes) ?? -1) >= 0
  }

  /**
   * Reads many sockets into `bytes` and tells of all that had something in one call, with the number of rows: pairs of an id and the end of its
   * bytes, which begin where those of the one before end. No bytes are the end of the stream, a negative end is -errno. Null when that cannot be had.
   */
  receiver(bytes: Uint8Array, rows: Int32Array, onRows: (count: number) => void): Receiver | null {
    const native = this.#native
    const set = native?.receiverOpen(bytes, rows, onRows) ?? -1
    if (native === null || typeof set === 'number') return null
    let isOpen = true
    return {
      watch: (fd, id) => isOpen && native.receiverWatch(set, fd, id) >= 0,
      forget: (fd) => void (isOpen && native.receiverForget(set, fd)),
      close: () => {
        if (isOpen) native.receiverClose(set)
        // The memory of the set is gone.
        isOpen = false
      },
    }
  }

  /**
   * Brings what was written to the file system of this file to the medium, on a thread of the pool. 0, or -errno: -EOPNOTSUPP where that
   * cannot be had. Which file's write has failed it does not say.
   */
  async syncFileSystem(fd: number): Promise<number> {
    return (await this.#native?.writeBack(fd)) ?? -constants.errno.EOPNOTSUPP
  }
}
