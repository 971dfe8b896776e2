/** Run by disk.test.ts under a lowered hard limit: 1,000 partitions of 20 segments through the default descriptors. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { nodePorts } from '../../src/node/node-ports.ts'
import { testObserver } from './test-observer.ts'

const partitions = 1000
const segments = 20
// In memory where there is such a place: 20,000 syncs of a device prove nothing here.
const place = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir()
const root = fs.mkdtempSync(path.join(place, 'headwater-many-'))
const ports = nodePorts({ observer: testObserver() })
const fileOf = (partition: number, segment: number): string => `${root}/${partition}-${segment}`
let descriptorsSeen = 0

const look = (): void => {
  descriptorsSeen = Math.max(descriptorsSeen, fs.readdirSync('/proc/self/fd').length)
}

try {
  for (let segment = 0; segment < segments; segment++) {
    const groups: Promise<void>[] = []
    for (let partition = 0; partition < partitions; partition++) {
      const file = fileOf(partition, segment)
      const content = Buffer.from(`${partition} ${segment}`)
      groups.push(ports.disk.submit([{ kind: 'write', path: file, position: 0, chunks: [content] }]))
    }
    await Promise.all(groups)
    look()
  }
  let kept = 0
  for (let partition = 0; partition < partitions; partition++) {
    const reads = Array.from({ length: segments }, async (_, segment) => {
      const bytes = await ports.disk.read(fileOf(partition, segment), 0, 100)
      if (new TextDecoder().decode(bytes) === `${partition} ${segment}`) kept++
    })
    await Promise.all(reads)
    if (partition % 100 === 0) look()
  }
  await ports.close()
  // The files of the program itself, its thread and its pipes count too.
  process.stdout.write(`kept ${kept} files, at most 512 descriptors: ${descriptorsSeen < 512 + 60}\n`)
} finally {
  fs.rmSync(root, { recursive: true })
}
