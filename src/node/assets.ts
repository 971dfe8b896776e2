/**
 * Where the files are that the program needs besides its own code: next to the source, or inside the single binary.
 *
 * In the binary (`node:sea`) the writer is the asset `writer.cjs` and the add-on the asset `headwater.node`; an add-on must be a
 * file to be loaded, so it is written once to a folder of its own name and hash. Not to the runtime directory: Debian mounts
 * /run with noexec.
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import sea from 'node:sea'
import { Worker, type WorkerOptions } from 'node:worker_threads'

/** Starts the writer thread (writer.js). */
export function startWriter(options: WorkerOptions): Worker {
  if (sea.isSea()) return new Worker(sea.getAsset('writer.cjs', 'utf8'), { ...options, eval: true })
  return new Worker(new URL('./writer.js', import.meta.url), options)
}

/** Our C add-on for this machine as a loaded module, and the file that it is in; throws when there is none that fits. */
export function loadHeadwaterAddOn(): LoadedAddOn {
  if (sea.isSea()) return loadNativeAsset('headwater.node')
  return loadNativeFile(fileURLToPath(new URL(`./addon/prebuilt/${process.arch}/headwater.node`, import.meta.url)))
}

export interface LoadedAddOn {
  readonly exports: unknown
  readonly file: string
}

/** Loads a native add-on that the single binary carries as an asset. */
export function loadNativeAsset(assetName: string): LoadedAddOn {
  const bytes = new Uint8Array(sea.getRawAsset(assetName))
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 32)
  let failure: unknown
  for (const folder of addOnFolders()) {
    try {
      return loadNativeFile(extracted(path.join(folder, hash), assetName, bytes))
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

function loadNativeFile(file: string): LoadedAddOn {
  const module = { exports: {} }
  process.dlopen(module, file)
  return { exports: module.exports, file }
}

/** The state directory of the service first; a folder of this user among the temporary files where there is none. */
function addOnFolders(): string[] {
  const state = process.env['STATE_DIRECTORY']?.split(':')[0]
  const own = path.join(os.tmpdir(), `headwater-${process.getuid?.() ?? 0}`)
  return state ? [path.join(state, 'addons'), own] : [own]
}

/** The asset as a file: what is there already is used only when it is ours and byte for byte the same. */
function extracted(folder: string, name: string, bytes: Uint8Array): string {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const part of [path.dirname(folder), folder]) {
    const facts = fs.lstatSync(part)
    if (!facts.isDirectory() || facts.uid !== process.getuid?.() || facts.mode & 0o022) {
      throw new Error(`${part} is not a directory that only this user can write`)
    }
  }
  const file = path.join(folder, name)
  if (fs.existsSync(file) && Buffer.compare(fs.readFileSync(file), bytes) === 0) return file
  const temporary = `${file}.${process.pid}`
  fs.writeFileSync(temporary, bytes, { mode: 0o500 })
  fs.renameSync(temporary, file)
  return file
}
