/** What an idle daemon costs, from source and as the single binary: memory, descriptors, time to ready, and that it writes nothing. */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot, sourceCommand } from '../../test/interop/headwater.ts'
import type { BenchCase, Figure } from '../case.ts'
import { median, openDescriptors, rssMiB, writtenBytes } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

/** One way to deliver the daemon. */
interface Form {
  readonly name: string
  readonly folder: string
  readonly command: readonly string[]
  readonly memoryName: string
  readonly memoryMiBMax: number
}

export const footprint: BenchCase = {
  name: 'footprint',
  missing: () => null,
  async run(context) {
    mkdirSync(context.folder, { recursive: true })
    const rounds = Math.max(3, context.rounds)
    const source: Form = {
      name: 'from source',
      folder: join(context.folder, 'node'),
      command: sourceCommand,
      memoryName: 'RSS idle, from source with a warm compile cache',
      memoryMiBMax: 130,
    }
    const binary: Form = {
      name: 'the binary',
      folder: join(context.folder, 'binary'),
      command: [builtBinary()],
      memoryName: 'RSS idle, the binary',
      memoryMiBMax: 110,
    }
    return { figures: [...(await figuresOf(source, rounds)), ...(await figuresOf(binary, rounds))] }
  },
}

async function figuresOf(form: Form, rounds: number): Promise<readonly Figure[]> {
  const { folder, command } = form
  const first = await headwaterPeer(folder, { command })
  await first.stop()
  const starts: number[] = []
  const memory: number[] = []
  let descriptors = 0
  let written = 0
  for (let round = 0; round < rounds; round++) {
    const again = await headwaterPeer(folder, { command })
    starts.push(again.readyAfterMs)
    await settled(2000)
    const before = writtenBytes(again.pid)
    await settled(5000)
    written = Math.max(written, writtenBytes(again.pid) - before)
    memory.push(rssMiB(again.pid))
    descriptors = openDescriptors(again.pid)
    await again.stop()
  }
  return [
    { name: `start to ready, second start, ${form.name}`, unit: 'ms', value: median(starts), reach: { atMost: 500 } },
    { name: form.memoryName, unit: 'MiB', value: median(memory), reach: { atMost: form.memoryMiBMax } },
    { name: `open descriptors, idle, ${form.name}`, unit: '', value: descriptors, reach: null },
    { name: `bytes written in 5 idle seconds, ${form.name}`, unit: 'B', value: written, reach: { atMost: 0 } },
  ]
}

/** The binary of this source: one that was built before may be of another. */
function builtBinary(): string {
  const script = join(repositoryRoot, 'deploy/build-binary.ts')
  const built = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`the binary could not be built: ${built.stderr}`)
  return join(repositoryRoot, 'dist', `headwater-${process.arch}`)
}

/** The bench measures over time: this is the time. */
function settled(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
