import { readFileSync, rmSync, mkdtempSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { powerCutFiles, readAfterCut, writeUntilCut } from '../../../src/admin/doctor/power-cut.ts'

const blockBytes = 4096

describe('a power cut tried on a disk', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'headwater-power-cut-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const write = (count: number): void => writeUntilCut(folder, (number) => number < count)
  /** Number 2k is block k of the first file, number 2k + 1 block k of the second. */
  const zero = (file: 0 | 1, block: number): void => {
    const bytes = readFileSync(powerCutFiles(folder)[file])
    bytes.fill(0, block * blockBytes, (block + 1) * blockBytes)
    writeFileSync(powerCutFiles(folder)[file], bytes)
  }

  it('finds everything where nothing was lost', () => {
    write(21)
    expect(readAfterCut(folder, null)).toEqual({ highest: 21, firstMissing: null })
    expect(readAfterCut(folder, 21)).toEqual({ highest: 21, firstMissing: null })
  })

  it('finds the first that is gone although a later one is there', () => {
    write(21)
    zero(0, 4)
    zero(0, 6)
    expect(readAfterCut(folder, null)).toEqual({ highest: 21, firstMissing: 8 })
  })

  it('takes a block of which a part is there for none', () => {
    write(21)
    const bytes = readFileSync(powerCutFiles(folder)[1])
    bytes.fill(0, 5 * blockBytes + 3_584, 6 * blockBytes)
    writeFileSync(powerCutFiles(folder)[1], bytes)
    expect(readAfterCut(folder, null).firstMissing).toBe(11)
  })

  it('does not blame the disk for the block that was under way', () => {
    write(21)
    truncateSync(powerCutFiles(folder)[1], 10 * blockBytes + 100)
    expect(readAfterCut(folder, null)).toEqual({ highest: 20, firstMissing: null })
  })

  it('finds what is gone from the end by the last number that another screen has seen', () => {
    write(21)
    zero(1, 10)
    expect(readAfterCut(folder, 21)).toEqual({ highest: 20, firstMissing: 21 })
  })

  it('goes round without calling lost what it has written over', () => {
    write(1_100)
    expect(readAfterCut(folder, null)).toEqual({ highest: 1_100, firstMissing: null })
    zero(0, 30)
    expect(readAfterCut(folder, null).firstMissing).toBe(60 + 1_024)
  })
})
