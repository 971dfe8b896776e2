/** Directories as the writer thread makes them. */
import fs from 'node:fs'
import { codeOf, ignoreMissing } from './writer-faults.js'

/**
 * Parents first. Not Node's own recursion: that never ends on a file system that answers ENOENT to every mkdir (/proc), and says
 * ENOENT where it is read-only.
 * @param {string} path
 */
export function makeDirectory(path) {
  try {
    fs.mkdirSync(path)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST' && fs.statSync(path).isDirectory()) return
    const parent = path.slice(0, path.lastIndexOf('/'))
    if (code !== 'ENOENT' || parent === '') throw error
    makeDirectory(parent)
    fs.mkdirSync(path)
  }
}

/**
 * Removes an empty folder; of one that is a link to another place, the link.
 * @param {string} path
 */
export function removeDirectory(path) {
  ignoreMissing(() => (fs.lstatSync(path).isSymbolicLink() ? fs.unlinkSync(path) : fs.rmdirSync(path)))
}
