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
import { copyPieces, writeTwo } from './writer-bytes.js'
import { DescriptorChain, NamedPaths, rename } from './writer-descriptors.js'
import { makeDirectory, removeDirectory } from './writer-paths.js'
import { check, codeOf, ignoreMissing, isUnder, LostErrors, nameOf, unsupported } from './writer-faults.js'
import { Guard } from './writer-guard.js'

/**
 * @typedef {import('./writer-descriptors.js').Descriptor} Descriptor
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
const syncCount = 0
const syncMsTotal = 1
const openDescriptors = 2
const guardDescriptor = 3
const uncoveredMark = 4

const lostErrors = new LostErrors()

/** @type {Map<string, Descriptor>} those that are open */
const byPath = new Map()
/** Without unsynced bytes, oldest use first. */
const clean = new DescriptorChain()
/** With unsynced bytes, in the order in which they got them: none is closed before it is synced. */
const dirty = new DescriptorChain()

/** Descriptors that make a flush of the file system worth it. */
const dirtyPerFlush = 64

/** @type {FlushAddOn | null} */
const addOn = addOnFile === null ? null : loadAddOn(addOnFile)
const guard = new Guard()

/** Through which the file system has been flushed for the operations that follow; -1 = it was not. */
let flushedThrough = -1
/** Number of the newest flush. */
let flushNumber = 0
/** What is written carries it: a flush beside the queue covers what was written before its mark. */
let mark = 0

const names = new NamedPaths()

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

/** Words of commands that have not three; of a copy those before its pieces. */
const sizes = new Map([
  ['write', 8],
  ['copy', 6],
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
      names.set(commands[at + 1], commands[at + 2])
      at += 3
      continue
    }
    if (kind === 'mark' || kind === 'covered') {
      if (kind === 'mark') mark = commands[at + 1]
      else covered(commands[at + 1])
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
    const size = (sizes.get(kind) ?? 3) + (kind === 'copy' ? commands[at + 5] : 0)
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
  if (kind === 'write') return write(commands[at], commands, at + 1)
  if (kind === 'copy') return copy(commands, at)
  const path = commands[at]
  switch (kind) {
    case 'create':
      return fs.ftruncateSync(dirtied(openOrCreate(path)).fd, 0)
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
      return flushed(names.pathOf(path))
    case 'checked':
      return checked(names.pathOf(path), commands[at + 1], commands[at + 2])
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
      return removeDirectory(path)
    case 'syncDirectory':
      return syncDirectory(path)
    default:
      throw new Error(`unknown operation ${kind}`)
  }
}

/**
 * @param {number} name
 * @param {any[]} commands
 * @param {number} at position, then offset and length of two pieces of the ring; the second is empty unless the bytes wrap
 */
function write(name, commands, at) {
  writeTwo(dirtied(names.descriptorOf(name, openOrCreate)).fd, ringBytes, commands, at)
}

/**
 * @param {any[]} commands
 * @param {number} at name, position, name of the file to copy from, then a count and as many numbers: position and length of each piece
 */
function copy(commands, at) {
  for (;;) {
    const source = open(names.pathOf(commands[at + 2]), fs.constants.O_RDWR)
    const { fd } = dirtied(names.descriptorOf(commands[at], openOrCreate))
    // Else it was closed to make room for the other.
    if (source.fd >= 0) return copyPieces(source.fd, fd, commands[at + 1], commands.slice(at + 4, at + 4 + commands[at + 3]))
  }
}

/** @param {string} path */
const openOrCreate = (path) => open(path, fs.constants.O_RDWR | fs.constants.O_CREAT)

/** @param {string} path */
function sync(path) {
  const descriptor = open(path, fs.constants.O_RDWR)
  lostErrors.fail(path)
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
  const flushed = dirty.all()
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
  const known = byPath.get(path)
  const asked = known?.isDirty === false && known.flush === flushNumber
  const descriptor = asked ? null : open(path, fs.constants.O_RDWR)
  lostErrors.fail(path)
  if (descriptor !== null) check(syncedWith([descriptor.fd], flushedThrough)[0] ?? 0)
}

/**
 * A flush beside the queue has covered what was written to the file before its mark. Asks the descriptor that was open at the write.
 * @param {string} path
 * @param {number} before
 * @param {number} folder of the file system that was flushed; -1 = the file is to be synced
 */
function checked(path, before, folder) {
  lostErrors.fail(path)
  const descriptor = byPath.get(path) ?? openIfThere(path)
  if (descriptor === null) return
  if (folder < 0) return sync(path)
  check(syncedWith([descriptor.fd], folder)[0] ?? 0)
  if (descriptor.isDirty && descriptor.mark < before) cleaned(descriptor)
}

/**
 * A flush through the guard, which told of no error, has covered what was written before its mark; unless some of that is elsewhere, or an
 * error is known that somebody is to be told of: then it is to be asked file by file.
 * @param {number} before
 */
function covered(before) {
  const reached = dirty.all().filter((descriptor) => descriptor.mark < before)
  if (lostErrors.size > 0 || reached.some((descriptor) => descriptor.isForeign)) figureWords[uncoveredMark] = before
  else reached.forEach(cleaned)
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
  dirty.remove(descriptor)
  clean.push(descriptor)
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
  lostErrors.renamed(from, to)
  if (byPath.has(from)) rename(byPath, from, to)
  // Not for each file that is replaced: there may be thousands of descriptors.
  else if (fs.statSync(to, { throwIfNoEntry: false })?.isDirectory() === true) {
    for (const path of [...byPath.keys()]) {
      if (isUnder(path, from)) rename(byPath, path, to + path.slice(from.length))
    }
  }
}

/** @param {string} path */
function forget(path) {
  if (byPath.get(path)?.isDirty === false) closeDescriptor(path)
}

/**
 * The descriptor of a file, opened when it is not at hand.
 * @param {string} path
 * @param {number} flags
 * @returns {Descriptor}
 */
function open(path, flags) {
  const present = byPath.get(path)
  if (present?.isDirty === false) {
    clean.remove(present)
    clean.push(present)
  }
  if (present !== undefined) return present
  makeRoom()
  const fd = openFile(path, flags)
  const isForeign = addOn === null || !guard.holds(fd, path)
  figureWords[guardDescriptor] = guard.descriptor
  /** @type {Descriptor} */
  const descriptor = { fd, path, isDirty: false, flush: 0, mark: 0, isForeign, older: null, newer: null }
  byPath.set(path, descriptor)
  clean.push(descriptor)
  figureWords[openDescriptors] = byPath.size
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
    if (codeOf(error) !== 'EMFILE' || clean.oldest === null) throw error
    closeDescriptor(clean.oldest.path)
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
    clean.remove(descriptor)
    dirty.push(descriptor)
  }
  return descriptor
}

/** Closes the longest unused descriptors until there is room for one more; when all are dirty they are flushed, or the oldest is synced. */
function makeRoom() {
  // One place is the guard's.
  while (byPath.size >= descriptorsMax - 1) {
    if (clean.oldest !== null) {
      closeDescriptor(clean.oldest.path)
      continue
    }
    const descriptor = /** @type {Descriptor} */ (dirty.oldest)
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
  const descriptor = byPath.get(path)
  if (descriptor === undefined) return
  const { fd } = descriptor
  const chain = descriptor.isDirty ? dirty : clean
  chain.remove(descriptor)
  byPath.delete(path)
  descriptor.fd = -1
  fs.closeSync(fd)
  figureWords[openDescriptors] = byPath.size
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
  for (const { fd } of byPath.values()) fs.closeSync(fd)
  byPath.clear()
  guard.close()
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
