/**
 * The writer thread: runs the groups of the Disk port one after another with synchronous calls, so that a device that stalls
 * stops this thread and not the loop.
 *
 * Plain JavaScript: a second TypeScript entry would cost 30 MB of memory. The single binary carries it, bundled with what it imports, as
 * an asset. The other side, with the layout of the shared memory and of the commands, is writer-thread.ts.
 */
/* The rules below need types that a file without a compiler does not give; `tsc --checkJs` is content with it. */
/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-call, typescript/no-unsafe-member-access, typescript/no-unsafe-argument, typescript/no-unsafe-return, unicorn/require-post-message-target-origin */
import fs from 'node:fs'
import { performance } from 'node:perf_hooks'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { loadAddOn } from './writer-add-on.js'
import { makeDirectory } from './writer-paths.js'
import { check, codeOf, ignoreMissing, isUnder, nameOf, unsupported } from './writer-faults.js'

/**
 * @typedef {{ fd: number, path: string, isDirty: boolean, flush: number, mark: number }} Descriptor `flush`: the newest one that has asked
 * it for its error; `mark`: the one that its newest write carries
 * @typedef {{ port: import('node:worker_threads').MessagePort, ring: SharedArrayBuffer, control: SharedArrayBuffer,
 *   figures: SharedArrayBuffer, descriptorsMax: number, addOnFile: string | null }} WriterData
 * @typedef {import('./writer-add-on.js').FlushAddOn} FlushAddOn
 */

/** @type {WriterData} */
const { port, ring, control, figures, descriptorsMax, addOnFile } = workerData
const ringBytes = new Uint8Array(ring)
const controlWords = new Int32Array(control)
const figureWords = new Float64Array(figures)

// Words of the control memory; the same in writer-thread.ts.
const releasedBytes = 0
const completedGroups = 1
const isNotified = 2
const isWaiting = 3
// Figures.
const syncCount = 0
const syncMsTotal = 1
const openDescriptors = 2

/** @type {Map<string, string>} errors of descriptors that had to be synced before their time, by path, until somebody syncs it */
const lostErrors = new Map()
/** Beyond this many every sync fails: a device that bad is lost. */
const lostErrorsMax = 1024

/** Descriptors without and with unsynced bytes, oldest use first. */
/** @type {Map<string, Descriptor>} */
const clean = new Map()
/** @type {Map<string, Descriptor>} */
const dirty = new Map()

/** Descriptors that make a flush of the file system worth it. */
const dirtyPerFlush = 64

/** @type {FlushAddOn | null} */
const addOn = addOnFile === null ? null : loadAddOn(addOnFile)

/** Through which the file system has been flushed for the operations that follow; -1 = it was not. */
let flushedThrough = -1
/** Number of the newest flush. */
let flushNumber = 0
/** What is written carries it: a flush beside the queue covers what was written before its mark. */
let mark = 0

/** @type {string[]} paths by the numbers that `write` carries */
const names = []

/** The group that is being run has failed: its other operations are passed over. */
let hasFailed = false
/** The group before it has. */
let previousFailed = false
/** Number of the last group that has ended. */
let completed = 0

port.on('message', (commands) => {
  run(commands)
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) run(next.message)
})

/** Words of commands that have not three. */
const sizes = new Map([
  ['write', 8],
  ['checked', 5],
  ['rename', 4],
  ['truncate', 4],
  ['reserve', 4],
])

/** @param {any[]} commands kind and arguments, one command after another */
function run(commands) {
  for (let at = 0; at < commands.length; ) {
    const kind = commands[at]
    if (kind === 'end') {
      at = endGroup(commands, at + 1)
      continue
    }
    if (kind === 'name') {
      names[commands[at + 1]] = commands[at + 2]
      at += 3
      continue
    }
    if (kind === 'mark') {
      mark = commands[at + 1]
      at += 2
      continue
    }
    if (kind === 'forget') {
      forget(commands[at + 1])
      at += 2
      continue
    }
    if (kind === 'close') {
      closeAll()
      return
    }
    const index = commands[at + 1]
    if (kind === 'needsPrevious') {
      if (previousFailed) fail(index, 'ECANCELED')
      at += 2
      continue
    }
    const size = sizes.get(kind) ?? 3
    if (!hasFailed) {
      try {
        runOperation(kind, commands, at + 2)
      } catch (error) {
        fail(index, codeOf(error))
      }
    }
    if (kind === 'write') release(commands[at + 5] + commands[at + 7])
    at += size
  }
}

/**
 * The group that is being run ends here.
 * @param {number} index of the operation
 * @param {string} code
 */
function fail(index, code) {
  hasFailed = true
  port.postMessage([(completed + 1) | 0, index, code])
}

/**
 * @param {string} kind
 * @param {any[]} commands
 * @param {number} at first argument
 */
function runOperation(kind, commands, at) {
  if (kind === 'write') return write(names[commands[at]], commands, at + 1)
  const path = commands[at]
  switch (kind) {
    case 'create':
      return fs.ftruncateSync(dirtied(open(path, fs.constants.O_RDWR | fs.constants.O_CREAT)).fd, 0)
    case 'truncate':
      return fs.ftruncateSync(dirtied(open(path, fs.constants.O_RDWR)).fd, commands[at + 1])
    case 'reserve':
      return check(addOn?.preallocate(open(path, fs.constants.O_RDWR).fd, 0, commands[at + 1]) ?? unsupported)
    case 'sync':
      return sync(path)
    case 'flush':
      flush(path)
      return
    case 'flushed':
      return flushed(names[path] ?? '')
    case 'checked':
      return checked(names[path] ?? '', commands[at + 1], commands[at + 2])
    case 'flushedDirectory':
      // A missing one must be told of as ever.
      return flushedThrough < 0 ? syncDirectory(path) : fs.accessSync(`${path}/.`)
    case 'rename':
      fs.renameSync(path, commands[at + 1])
      return renamed(path, commands[at + 1])
    case 'unlink':
      return unlink(path)
    case 'makeDirectory':
      return makeDirectory(path)
    case 'removeDirectory':
      return ignoreMissing(() => fs.rmdirSync(path))
    case 'syncDirectory':
      return syncDirectory(path)
    default:
      throw new Error(`unknown operation ${kind}`)
  }
}

/**
 * Arguments: position, then offset and length of two pieces of the ring; the second is empty unless the bytes wrap.
 * @param {string} path
 * @param {any[]} commands
 * @param {number} at
 */
function write(path, commands, at) {
  const descriptor = dirtied(open(path, fs.constants.O_RDWR | fs.constants.O_CREAT))
  let position = commands[at]
  for (const piece of [at + 1, at + 3]) {
    let offset = commands[piece]
    let left = commands[piece + 1]
    while (left > 0) {
      const written = fs.writeSync(descriptor.fd, ringBytes, offset, left, position)
      if (written === 0) throw Object.assign(new Error('nothing was written'), { code: 'EIO' })
      offset += written
      position += written
      left -= written
    }
  }
}

/** @param {string} path */
function sync(path) {
  const descriptor = open(path, fs.constants.O_RDWR)
  failLost(path)
  timedSync(() => fs.fdatasyncSync(descriptor.fd))
  if (descriptor.isDirty) cleaned(descriptor)
}

/**
 * Flushes the whole file system of a file, so that no descriptor has unsynced bytes any more. Answers false when that cannot be had
 * here: then the files are synced one by one.
 * @param {string} path of a file that has unsynced bytes
 */
function flush(path) {
  endFlush()
  if (addOn === null) return false
  const descriptor = open(path, fs.constants.O_RDWR)
  const fd = fs.openSync(path.slice(0, path.lastIndexOf('/')), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  let result = 0
  timedSync(() => {
    result = addOn.syncFileSystem(fd)
  })
  if (result === unsupported) {
    fs.closeSync(fd)
    return false
  }
  flushedThrough = fd
  flushNumber++
  // Which file a write error is of, syncfs does not say.
  const flushed = [...dirty.values()]
  const errors = result < 0 ? null : syncedWith(flushed.map((each) => each.fd), fd)
  flushed.forEach((each, index) => {
    const error = errors === null ? result : (errors[index] ?? 0)
    if (error < 0) lostErrors.set(each.path, nameOf(error))
    each.flush = flushNumber
    cleaned(each)
  })
  check(result)
  // Older kernels do not answer here that the journal of the file system has been aborted; this does.
  fs.fdatasyncSync(descriptor.fd)
  return true
}

/**
 * The errors of files that a flush was for; 0 = none.
 * @param {number[]} fds
 * @param {number} through of the file system that was flushed
 */
function syncedWith(fds, through) {
  const answers = Int32Array.from(fds)
  check(addOn?.syncedWith(answers, through) ?? unsupported)
  return answers
}

/** @param {string} path of a file that a flush was for */
function flushed(path) {
  if (flushedThrough < 0) return sync(path)
  const asked = clean.get(path)?.flush === flushNumber
  const descriptor = asked ? null : open(path, fs.constants.O_RDWR)
  failLost(path)
  if (descriptor !== null) check(syncedWith([descriptor.fd], flushedThrough)[0] ?? 0)
}

/**
 * A flush beside the queue has covered what was written to the file before its mark. Asks the descriptor that was open at the write.
 * @param {string} path
 * @param {number} before
 * @param {number} folder of the file system that was flushed; -1 = the file is to be synced
 */
function checked(path, before, folder) {
  failLost(path)
  const descriptor = dirty.get(path) ?? clean.get(path) ?? openIfThere(path)
  if (descriptor === null) return
  if (folder < 0) return sync(path)
  check(syncedWith([descriptor.fd], folder)[0] ?? 0)
  if (descriptor.isDirty && descriptor.mark < before) cleaned(descriptor)
}

/** @param {string} path */
function openIfThere(path) {
  try {
    return open(path, fs.constants.O_RDWR)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

function endFlush() {
  if (flushedThrough >= 0) fs.closeSync(flushedThrough)
  flushedThrough = -1
}

/** @param {Descriptor} descriptor */
function cleaned(descriptor) {
  descriptor.isDirty = false
  dirty.delete(descriptor.path)
  clean.set(descriptor.path, descriptor)
}

/**
 * A sync that was made before its time has failed: whoever syncs the path is told.
 * @param {string} path
 */
function failLost(path) {
  const lost = lostErrors.get(path) ?? (lostErrors.size > lostErrorsMax ? 'EIO' : undefined)
  if (lost === undefined) return
  lostErrors.delete(path)
  throw Object.assign(new Error('an earlier sync failed'), { code: lost })
}

/** @param {string} path */
function syncDirectory(path) {
  makeRoom()
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    timedSync(() => fs.fsyncSync(fd))
  } finally {
    fs.closeSync(fd)
  }
}

/** @param {string} path */
function unlink(path) {
  ignoreMissing(() => fs.unlinkSync(path))
  closeDescriptor(path)
  lostErrors.delete(path)
}

/**
 * The descriptors follow their files to the new names, also those below a renamed directory; a replaced file's goes.
 * @param {string} from
 * @param {string} to
 */
function renamed(from, to) {
  closeDescriptor(to)
  lostErrors.delete(to)
  for (const table of [clean, dirty]) {
    for (const descriptor of [...table.values()]) {
      if (!isUnder(descriptor.path, from)) continue
      table.delete(descriptor.path)
      descriptor.path = to + descriptor.path.slice(from.length)
      table.set(descriptor.path, descriptor)
    }
  }
  for (const [path, code] of [...lostErrors]) {
    if (!isUnder(path, from)) continue
    lostErrors.delete(path)
    lostErrors.set(to + path.slice(from.length), code)
  }
}

/** @param {string} path */
function forget(path) {
  if (clean.has(path)) closeDescriptor(path)
}

/**
 * The descriptor of a file, opened when it is not at hand.
 * @param {string} path
 * @param {number} flags
 * @returns {Descriptor}
 */
function open(path, flags) {
  // Those stay in the order in which they became dirty: none is closed before it is synced.
  const inUse = dirty.get(path)
  if (inUse) return inUse
  const present = clean.get(path)
  if (present) {
    clean.delete(path)
    clean.set(path, present)
    return present
  }
  makeRoom()
  const descriptor = { fd: openFile(path, flags), path, isDirty: false, flush: 0, mark: 0 }
  clean.set(path, descriptor)
  figureWords[openDescriptors] = clean.size + dirty.size
  return descriptor
}

/**
 * @param {string} path
 * @param {number} flags
 */
function openFile(path, flags) {
  try {
    return fs.openSync(path, flags, 0o666)
  } catch (error) {
    // Sockets have taken the last descriptors of the process: give one of ours.
    const oldestClean = codeOf(error) === 'EMFILE' ? clean.keys().next() : { done: true, value: '' }
    if (oldestClean.done) throw error
    closeDescriptor(oldestClean.value)
    return fs.openSync(path, flags, 0o666)
  }
}

/**
 * Marks a descriptor as having unsynced bytes: it is not closed before they are synced, because the kernel may tell a write
 * error only to descriptors that were open at the time.
 * @param {Descriptor} descriptor
 */
function dirtied(descriptor) {
  descriptor.mark = mark
  if (!descriptor.isDirty) {
    descriptor.isDirty = true
    clean.delete(descriptor.path)
    dirty.set(descriptor.path, descriptor)
  }
  return descriptor
}

/** Closes the longest unused descriptors until there is room for one more; when all are dirty they are flushed, or the oldest is synced. */
function makeRoom() {
  while (clean.size + dirty.size >= descriptorsMax) {
    const oldestClean = clean.keys().next()
    if (!oldestClean.done) {
      closeDescriptor(oldestClean.value)
      continue
    }
    const descriptor = /** @type {Descriptor} */ (dirty.values().next().value)
    try {
      if (dirty.size >= dirtyPerFlush && flush(descriptor.path)) continue
      timedSync(() => fs.fdatasyncSync(descriptor.fd))
    } catch (error) {
      lostErrors.set(descriptor.path, codeOf(error))
    } finally {
      endFlush()
    }
    closeDescriptor(descriptor.path)
  }
}

/** @param {string} path */
function closeDescriptor(path) {
  const descriptor = dirty.get(path) ?? clean.get(path)
  if (!descriptor) return
  dirty.delete(path)
  clean.delete(path)
  fs.closeSync(descriptor.fd)
  figureWords[openDescriptors] = clean.size + dirty.size
}

/**
 * @param {any[]} commands
 * @param {number} at the group's number
 */
function endGroup(commands, at) {
  endFlush()
  previousFailed = hasFailed
  hasFailed = false
  completed = commands[at]
  Atomics.store(controlWords, completedGroups, completed)
  notify()
  return at + 1
}

/** @param {number} bytes of the ring that may be used again */
function release(bytes) {
  Atomics.add(controlWords, releasedBytes, bytes)
  if (Atomics.exchange(controlWords, isWaiting, 0) === 1) notify()
}

/** Wakes the loop, once until it has looked. */
function notify() {
  if (Atomics.exchange(controlWords, isNotified, 1) === 0) port.postMessage(null)
}

function closeAll() {
  for (const descriptor of [...clean.values(), ...dirty.values()]) fs.closeSync(descriptor.fd)
  clean.clear()
  dirty.clear()
  port.close()
}

/** @param {() => void} call */
function timedSync(call) {
  const start = performance.now()
  try {
    call()
  } finally {
    figureWords[syncCount] = (figureWords[syncCount] ?? 0) + 1
    figureWords[syncMsTotal] = (figureWords[syncMsTotal] ?? 0) + performance.now() - start
  }
}
