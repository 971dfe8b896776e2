import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect, it } from 'vitest'
import type { DiskOperation } from '../../src/base/ports.ts'
import { AddOn } from '../../src/node/add-on.ts'
import { NodeDisk } from '../../src/node/disk.ts'
import { write } from './disk-contract.ts'
import { testObserver } from './test-observer.ts'

it('each write finds its own file, also beyond the number of paths that the writer is told once', async () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-writer-'))
  const disk = new NodeDisk({ observer: testObserver(), addOn: new AddOn(), dataDescriptorsMax: 64 })
  try {
    const operations: DiskOperation[] = []
    for (let round = 0; round < 3; round++) {
      for (let file = 0; file < 3_000; file++) {
        const name = `${root}/${round % 2}-${file}`
        operations.push(write(name, 0, Buffer.from(`${round} ${file}`)))
        // Most go again at once, so that no descriptor has to be synced for the next.
        if (file % 1_000 !== 7 || round === 0) operations.push({ kind: 'unlink', path: name })
      }
      await disk.submit(operations.splice(0))
    }
    const contents = fs.readdirSync(root).map((name) => [name, fs.readFileSync(`${root}/${name}`, 'utf8')])
    expect(Object.fromEntries(contents)).toEqual(
      Object.fromEntries(
        [7, 1_007, 2_007].flatMap((file) => [1, 2].map((round) => [`${round % 2}-${file}`, `${round} ${file}`])),
      ),
    )
  } finally {
    await disk.close()
    fs.rmSync(root, { recursive: true })
  }
})
