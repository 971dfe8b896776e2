/**
 * Files beside the log, lost and damaged, each in turn, after a clean stop and after a kill: the daemon starts every time, and everything
 * acknowledged is there (architecture law 1: such a file is a hint).
 *
 * Files of a partition are independent of other partitions': one start meets a different damaged file in each of eight partitions.
 */
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { mapBounded } from '../../src/base/map-bounded.ts'
import { startDaemon } from './command.ts'
import { command } from './figures.ts'
import { expectHistory, type History, historyPartitions, historyTopic, makeHistory } from './history.ts'
import type { Group, OpenGroup, Row } from './row.ts'

const ends = ['stop', 'kill'] as const
type End = (typeof ends)[number]
type Histories = Readonly<Record<End, History>>
/** Starts that run at the same time. */
const atOnce = 2

interface Damage {
  readonly name: string
  apply(file: string, seed: number): void
}

const damages: readonly Damage[] = [
  { name: 'lost', apply: (file) => unlinkSync(file) },
  { name: 'empty', apply: (file) => truncateSync(file, 0) },
  { name: 'cut', apply: (file) => truncateSync(file, Math.floor(statSync(file).size / 2)) },
  {
    name: 'noise',
    apply: (file) => writeFileSync(file, randomBytes(Math.min(4_096, Math.max(40, statSync(file).size)))),
  },
  { name: 'one bit flipped', apply: (file, seed) => flip(file, seed) },
  { name: 'another bit flipped', apply: (file, seed) => flip(file, seed * 7 + 3) },
]

/** Of the node: each alone. */
const nodeFiles = [
  'log/meta.properties',
  'log/recovery-point-offset-checkpoint',
  'log/replication-offset-checkpoint',
  'log/log-start-offset-checkpoint',
  'log/.kafka_cleanshutdown',
  'log/__cluster_metadata-0/quorum-state',
  'log/__cluster_metadata-0/partition.metadata',
  'state/meta.properties',
  'state/recovery-points',
  'state/log-starts',
  'state/journal',
] as const
type NodeFile = (typeof nodeFiles)[number]

/** Of a partition, as they are found: the first and the last of each kind. */
const partitionKinds = [/\.index$/, /\.timeindex$/, /\.snapshot$/, /^leader-epoch-checkpoint$/, /^partition\.metadata$/]
const internalPartitions = ['__cluster_metadata-0', '__consumer_offsets', '__headwater_mqtt_sessions-0'] as const

export const sideFiles: Group = {
  name: 'side-files',
  async open(folder): Promise<OpenGroup> {
    const [stopped, killed] = await Promise.all(ends.map((end) => makeHistory(join(folder, end), end)))
    assert.ok(stopped !== undefined && killed !== undefined)
    const histories = { stop: stopped, kill: killed }
    return {
      rows: ends.flatMap((end) => [
        ...nodeFiles
          .filter((file) => existsSync(join(histories[end].dataDir, file)))
          .map((file) => nodeRow(histories[end], end, file, damagesAfter(end, file, histories))),
        partitionRow(histories[end], end),
      ]),
      close: async () => {},
    }
  },
}

function nodeRow(history: History, end: End, file: string, tried: readonly Damage[]): Row {
  return {
    name: `after a ${end}, ${file} ${tried.map(({ name }) => name).join(', ')}: starts, and all is there`,
    run: () =>
      inTurns(
        tried.map((damage, index) => ({
          name: damage.name,
          run: () => attempt(history, (dataDir) => damage.apply(join(dataDir, file), index + file.length)),
        })),
      ),
  }
}

/** Of a file that is there after both ends the short form has half of them after each. */
function damagesAfter(end: End, file: NodeFile, histories: Histories): readonly Damage[] {
  const isAfterBoth = ends.every((each) => existsSync(join(histories[each].dataDir, file)))
  if (command.isLong || !isAfterBoth) return damages
  const first = (ends.indexOf(end) + nodeFiles.indexOf(file)) % 2
  return damages.filter((_, index) => index % 2 === first)
}

function partitionRow(history: History, end: End): Row {
  return {
    name: `after a ${end}, the files of partitions (index, timeindex, snapshot, epochs, topic id) lost or damaged: starts, and all is there`,
    run: () =>
      inTurns(
        damages.flatMap((damage, round) =>
          [0, 1].map((shift) => ({
            name: `${damage.name}, shift ${shift}`,
            run: () =>
              attempt(history, (dataDir) => {
                const targets = partitionFiles(join(dataDir, 'log'), round + shift)
                for (const [index, file] of targets.entries()) damage.apply(file, round * 31 + index * 5 + shift)
                return targets.map((file) => file.slice(dataDir.length + 1)).join(' ')
              }),
          })),
        ),
      ),
  }
}

/** One file of each partition, a different kind in each. */
function partitionFiles(log: string, shift: number): string[] {
  const own = Array.from({ length: historyPartitions }, (_, partition) => `${historyTopic}-${partition}`)
  const folders = readdirSync(log).filter((name) => internalPartitions.some((prefix) => name.startsWith(prefix)))
  return [...own, ...folders].flatMap((folder, index) => {
    const kind = partitionKinds[(index + shift) % partitionKinds.length] as RegExp
    const found = readdirSync(join(log, folder))
      .filter((name) => kind.test(name))
      .toSorted()
    const chosen = (index + shift) % 2 === 0 ? found[0] : found.at(-1)
    return chosen === undefined ? [] : [join(log, folder, chosen)]
  })
}

let copies = 0

/** Copies the past, damages the copy, and looks whether a daemon still serves it. */
async function attempt(history: History, damage: (dataDir: string) => string | void): Promise<void> {
  const dataDir = `${history.dataDir}-${copies++}`
  cpSync(history.dataDir, dataDir, { recursive: true })
  const what = damage(dataDir) ?? ''
  const logFile = `${dataDir}.log`
  try {
    const daemon = await startDaemon({ dataDir, logFile })
    try {
      await expectHistory(history, daemon)
    } finally {
      await daemon.kill()
    }
  } catch (thrown) {
    const log = readFileSync(logFile, 'utf8').split('\n').slice(-6).join('\n')
    throw new Error(`${what}\n${thrown instanceof Error ? thrown.message : String(thrown)}\n${log}`, { cause: thrown })
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function inTurns(tasks: readonly { readonly name: string; run(): Promise<void> }[]): Promise<void> {
  const broken: string[] = []
  await mapBounded(tasks, atOnce, (task) =>
    task.run().catch((error: Error) => void broken.push(`${task.name}: ${error.message}`)),
  )
  assert.ok(broken.length === 0, `${broken.length} of ${tasks.length} starts:\n  ${broken.join('\n  ')}`)
}

function flip(file: string, seed: number): void {
  // Kafka's text format has no checksum: a digit that became another digit cannot be told from the truth.
  if (file.endsWith('leader-epoch-checkpoint')) return
  const bytes = readFileSync(file)
  if (bytes.length === 0) return
  // The journal is a ring of 4 MiB, mostly unused: where its frames begin.
  const at = (seed * 2_654_435_761) % Math.min(bytes.length, 2_048)
  bytes[at] = (bytes[at] as number) ^ (1 << (seed % 7))
  writeFileSync(file, bytes)
}
