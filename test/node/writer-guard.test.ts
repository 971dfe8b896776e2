/** The folder through which the file system of the data is flushed. */
import fs from 'node:fs'
import os from 'node:os'
import { describe, expect, it } from 'vitest'

interface Guard {
  readonly descriptor: number
  holds(fd: number, path: string): boolean
  close(): void
}

// The writer is JavaScript, without declarations.
const module: string = '../../src/node/writer-guard.js'
const { Guard } = (await import(module)) as { readonly Guard: new () => Guard }

const elsewhere = '/dev/shm'
const hasTwo = fs.existsSync(elsewhere) && fs.statSync(elsewhere).dev !== fs.statSync(os.tmpdir()).dev

describe('the guard', () => {
  it.skipIf(!hasTwo)('holds the files of the file system of the first one, and no others', () => {
    const guard = new Guard()
    const folders = [os.tmpdir(), elsewhere, os.tmpdir()].map((root) => fs.mkdtempSync(`${root}/guard-`))
    const held = folders.map((folder) => {
      const fd = fs.openSync(`${folder}/file`, 'w')
      const answer = guard.holds(fd, `${folder}/file`)
      fs.closeSync(fd)
      return answer
    })
    expect(held).toEqual([true, false, true])
    expect(fs.readlinkSync(`/proc/self/fd/${guard.descriptor}`)).toBe(folders[0])
    guard.close()
    for (const folder of folders) fs.rmSync(folder, { recursive: true })
  })

  it('is not opened later than for the first file: what was written before it would not tell of', () => {
    const guard = new Guard()
    const fd = fs.openSync(import.meta.filename, 'r')
    expect(guard.holds(fd, '/none/at/all')).toBe(false)
    expect(guard.holds(fd, import.meta.filename)).toBe(false)
    expect(guard.descriptor).toBe(0)
    fs.closeSync(fd)
  })
})
