/**
 * The exclusive lock on a data directory.
 *
 * With the add-on it is the POSIX record lock that java.nio.channels.FileChannel takes, so that Apache Kafka and Headwater keep
 * each other out. Such a lock belongs to the process and goes when the process closes *any* descriptor of the file: nothing
 * else may open a locked file (disk.ts refuses). Without the add-on a file `<path>.pid` names the holder; a holder that is gone is
 * replaced.
 */
import fs from 'node:fs'
import { DiskError, type LockOutcome, type Observer } from '../base/ports.ts'
import type { AddOn } from './add-on.ts'
import { nodeEvents } from './node-events.ts'

/** Takes over a stale pid file at most so often before it gives up: others are trying too. */
const takeoversMax = 8

export class FileLocks {
  readonly #addOn: AddOn
  readonly #observer: Observer
  readonly #held = new Set<string>()
  /** Device and inode of each held file: a record lock does not keep its own process out. */
  readonly #heldFiles = new Set<string>()

  constructor(addOn: AddOn, observer: Observer) {
    this.#addOn = addOn
    this.#observer = observer
  }

  /** True while this process holds the lock on that path. */
  isHeld(path: string): boolean {
    return this.#held.size > 0 && this.#held.has(path)
  }

  lock(path: string): LockOutcome {
    if (this.isHeld(path)) return { held: false, holder: process.pid }
    let fd: number
    try {
      fd = this.#openUnheld(path)
    } catch (error) {
      throw new DiskError(String((error as NodeJS.ErrnoException).code ?? error), 'lock', path)
    }
    if (fd < 0) return { held: false, holder: process.pid }
    const isLocked = this.#addOn.lockFile(fd)
    if (isLocked === null) return this.#lockByPidFile(path, fd)
    if (!isLocked) {
      const holder = this.#addOn.lockHolder(fd)
      fs.closeSync(fd)
      return { held: false, holder }
    }
    const release = this.#remember(path, fd)
    return {
      held: true,
      release: async () => {
        this.#addOn.unlockFile(fd)
        release()
      },
    }
  }

  /** The descriptor, or -1 when this process holds the same file under another name. */
  #openUnheld(path: string): number {
    // Opening and closing a file that is held here would let its lock go: look at it first.
    const before = fs.statSync(path, { throwIfNoEntry: false })
    if (before && this.#heldFiles.has(`${before.dev}:${before.ino}`)) return -1
    return fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o666)
  }

  #remember(path: string, fd: number): () => void {
    const facts = fs.fstatSync(fd)
    const file = `${facts.dev}:${facts.ino}`
    this.#held.add(path)
    this.#heldFiles.add(file)
    return () => {
      if (!this.#held.delete(path)) return
      this.#heldFiles.delete(file)
      fs.closeSync(fd)
    }
  }

  #lockByPidFile(path: string, fd: number): LockOutcome {
    const pidPath = `${path}.pid`
    const mine = `${process.pid} ${startOf(process.pid) ?? ''}\n`
    const temporary = `${pidPath}.${process.pid}`
    try {
      fs.writeFileSync(temporary, mine)
      for (let attempt = 0; attempt < takeoversMax; attempt++) {
        if (linked(temporary, pidPath)) {
          this.#observer.event(nodeEvents.lockIsWeak, { path })
          const release = this.#remember(path, fd)
          return {
            held: true,
            release: async () => {
              fs.rmSync(pidPath, { force: true })
              release()
            },
          }
        }
        const holder = this.#liveHolder(path, pidPath)
        if (holder !== null) {
          fs.closeSync(fd)
          return { held: false, holder }
        }
      }
    } finally {
      fs.rmSync(temporary, { force: true })
    }
    fs.closeSync(fd)
    return { held: false, holder: null }
  }

  /** The process that the pid file names, if it lives; else the file is moved away, which only one of several can do. */
  #liveHolder(path: string, pidPath: string): number | null {
    const content = readOrNull(pidPath)
    if (content === null) return null
    const [pidText = '', start = ''] = content.trim().split(' ')
    const holder = Number(pidText)
    const startNow = startOf(holder)
    if (startNow !== null && (start === '' || start === startNow)) return holder
    const grave = `${pidPath}.stale.${process.pid}`
    try {
      fs.renameSync(pidPath, grave)
    } catch {
      return null
    }
    // Another process may have replaced the file since we read it: then it goes back.
    if (readOrNull(grave) !== content) linked(grave, pidPath)
    else this.#observer.event(nodeEvents.staleLockTaken, { path, holder })
    fs.rmSync(grave, { force: true })
    return null
  }
}

/** Gives the file its second name; false when that name is taken. */
function linked(from: string, to: string): boolean {
  try {
    fs.linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readOrNull(path: string): string | null {
  try {
    return fs.readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/** When a process was started, in the kernel's ticks (field 22 of /proc/<pid>/stat); null when there is no such process. */
function startOf(pid: number): string | null {
  const stat = Number.isSafeInteger(pid) && pid > 0 ? readOrNull(`/proc/${pid}/stat`) : null
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}
