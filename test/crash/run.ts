/**
 * The crash suite: the real daemon under kills, power cuts and a full disk, with foreign clients and foreign eyes.
 *
 *   run.ts                                 the form for every change: some of each, two at a time, about three minutes
 *   run.ts --kills N                       SIGKILL under load: what the kernel has, it keeps
 *   run.ts --cuts N [--fs ext4|xfs]        the file system is shut down under the daemon: what was not synced is lost (root)
 *   run.ts --no-sync-library [--fs ...]    every sync does nothing: a cut must show it, else this suite would not see a missing one
 *   run.ts --syscalls N|all [--from N]     it dies in front of a call that changes files: a sample, or each (strace)
 *   run.ts --full-disk [--fs ...]           somebody else takes the last block of a small file system (root)
 *   run.ts --gigabytes N                   Apache Kafka reads and opens so much that we have written
 *   run.ts --mutant NAME [--kills|--cuts N]  a copy of the source with one law broken: the checker must notice
 *
 * `--seed S` chooses the moments; `--foreign` shows each directory to Apache Kafka afterwards. Long runs begin a new directory after
 * every few hundred deaths. The last line is `N passed, N failed, N skipped`; the exit code is 1 when one failed.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { mapBounded } from '../../src/base/map-bounded.ts'
import { apacheKafkaMissing } from '../interop/apache-kafka.ts'
import { foreignPython } from '../interop/python.ts'
import { Prng } from '../sim/prng.ts'
import { CrashRun } from './crash-run.ts'
import { type FileSystem, LoopDisk, noSyncLibrary, PlainDisk } from './disks.ts'
import { filledDirectory, shownToKafka } from './foreign-eyes.ts'
import { FullDiskRun } from './full-disk.ts'
import type { Judgement } from './history.ts'
import { type Mutant, mutants } from './mutants.ts'
import { Sweep, sweepMissing } from './sweep.ts'

const { values: flags } = parseArgs({
  options: {
    kills: { type: 'string' },
    cuts: { type: 'string' },
    fs: { type: 'string' },
    'no-sync-library': { type: 'boolean', default: false },
    syscalls: { type: 'string' },
    from: { type: 'string', default: '0' },
    gigabytes: { type: 'string' },
    'full-disk': { type: 'boolean', default: false },
    mutant: { type: 'string' },
    foreign: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
  },
})

/** A directory with more deaths than this has more records than a checker should hold. */
const deathsPerDirectory = 250
const diskMebibytes = 2048
/** Little to fill, and above the least that xfs takes. */
const smallDiskMebibytes = 512

/** Of the form for every change. */
const syscallDeaths = 30

type Result = 'passed' | 'failed' | 'skipped'

class Suite {
  readonly #folder: string
  readonly #python: string
  readonly counts: Record<Result, number> = { passed: 0, failed: 0, skipped: 0 }
  #begun = 0

  constructor(folder: string, python: string) {
    this.#folder = folder
    this.#python = python
  }

  /** Tries one promise; `tried` answers the figures, throws when it is broken. */
  async try(name: string, missing: string | null, tried: (folder: string) => Promise<string>): Promise<void> {
    if (missing !== null) {
      this.#tell('skipped', `- ${name}\n  ${missing}`)
      return
    }
    const folder = join(this.#folder, String(this.#begun++))
    mkdirSync(folder)
    const startedAt = performance.now()
    const seconds = (): string => `${((performance.now() - startedAt) / 1000).toFixed(0)} s`
    try {
      const figures = await tried(folder)
      this.#tell('passed', `ok ${name} (${seconds()})\n  ${figures}`)
    } catch (error) {
      const trouble = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#tell('failed', `FAILED ${name} (${seconds()})\n${trouble}`)
    }
    rmSync(folder, { recursive: true, force: true })
  }

  #tell(result: Result, text: string): void {
    this.counts[result]++
    console.log(text)
  }

  async kills(total: number, seed: number, isShown: boolean): Promise<void> {
    for (const [part, deaths] of partsOf(total).entries()) {
      const name = `${deaths} kills under mixed load lose nothing and double nothing (seed ${seed + part})`
      await this.try(name, null, (folder) =>
        this.#survives({ folder, disk: new PlainDisk(folder), deaths, seed: seed + part, isShown }),
      )
    }
  }

  async cuts(fileSystem: FileSystem, total: number, seed: number, isShown: boolean): Promise<void> {
    for (const [part, deaths] of partsOf(total).entries()) {
      const name = `${deaths} power cuts on ${fileSystem} lose nothing that was acknowledged (seed ${seed + part})`
      await this.try(name, LoopDisk.missing(fileSystem), (folder) => {
        const disk = LoopDisk.create({ folder, fileSystem, mebibytes: diskMebibytes })
        return this.#survives({ folder, disk, deaths, seed: seed + part, isShown })
      })
    }
  }

  async missingSyncIsSeen(fileSystem: FileSystem, seed: number): Promise<void> {
    const name = `power cuts on ${fileSystem} show it when no sync of the daemon does anything`
    await this.try(name, LoopDisk.missing(fileSystem), async (folder) => {
      const library = noSyncLibrary(folder)
      if (library === null) return 'skipped: no C compiler'
      const disk = LoopDisk.create({ folder, fileSystem, mebibytes: diskMebibytes })
      return this.#isCaught({ folder, disk, deaths: 3, seed, library })
    })
  }

  async syscalls(deathsMax: number | null, from: number, seed: number): Promise<void> {
    const name = `deaths in front of ${deathsMax ?? 'all'} system calls that change files lose nothing and double nothing`
    await this.try(name, sweepMissing(), async (folder) => {
      const sweep = new Sweep({ folder, python: this.#python, random: new Prng(seed, 'sweep'), deathsMax, from })
      await sweep.run()
      return sweep.summary
    })
  }

  async fullDisk(fileSystem: FileSystem, seed: number, isShown: boolean): Promise<void> {
    const name = `a full ${fileSystem} stops acknowledgements and nothing else, and it ends by itself`
    await this.try(name, LoopDisk.missing(fileSystem), async (folder) => {
      const disk = LoopDisk.create({ folder, fileSystem, mebibytes: smallDiskMebibytes })
      try {
        const run = new FullDiskRun({ folder, disk, python: this.#python, random: new Prng(seed, 'full disk') })
        await run.run()
        return await this.#shown(folder, { disk, isShown, summary: run.summary, judge: (at) => run.judge(at) })
      } finally {
        await disk.close()
      }
    })
  }

  async gigabytes(count: number): Promise<void> {
    const name = `Apache Kafka opens ${count} GB of ours and finds every record`
    await this.try(name, apacheKafkaMissing(), async (folder) => {
      const { dataDir, judge } = await filledDirectory({ folder, python: this.#python, bytes: count * 1e9 })
      const place = { folder: join(folder, 'foreign'), dataDir }
      return shownToKafka(place, async (bootstrap) => demandNoFault(await judge(bootstrap)))
    })
  }

  async mutantIsSeen(mutant: Mutant, deaths: number, fileSystem: FileSystem | null, seed: number): Promise<void> {
    if (mutant.needsPower === true && fileSystem === null)
      throw new Error(`mutant ${mutant.name} shows with --cuts only`)
    const missing = fileSystem === null ? null : LoopDisk.missing(fileSystem)
    await this.try(`mutant ${mutant.name} is caught: ${mutant.breaks}`, missing, (folder) => {
      const disk =
        fileSystem === null ? new PlainDisk(folder) : LoopDisk.create({ folder, fileSystem, mebibytes: diskMebibytes })
      return this.#isCaught({ folder, disk, deaths, seed, mutant })
    })
  }

  async #survives(run: Trial & { readonly isShown: boolean }): Promise<string> {
    try {
      const crash = this.#crashRun(run)
      demandNoFault(await crash.run())
      return await this.#shown(run.folder, { ...run, summary: crash.summary, judge: (at) => crash.judge(at) })
    } finally {
      await run.disk.close()
    }
  }

  /** Shows what a run has left to Apache Kafka, where that is asked for and possible; answers the figures. */
  async #shown(folder: string, left: LeftBehind): Promise<string> {
    if (!left.isShown) return left.summary
    const missing = apacheKafkaMissing()
    if (missing !== null) return `${left.summary}\n  not shown to Apache Kafka: ${missing}`
    const place = { folder: join(folder, 'foreign'), dataDir: left.disk.dataDir }
    const shown = await shownToKafka(place, async (bootstrap) => demandNoFault(await left.judge(bootstrap)))
    return `${left.summary}\n  ${shown}`
  }

  /** A broken daemon may also do worse than to lose records: then it does not start, or its clients give up. */
  async #isCaught(run: Trial): Promise<string> {
    try {
      const crash = this.#crashRun(run)
      const { faultCount, sentences } = await crash.run()
      if (faultCount === 0) throw new Error(`not caught: ${crash.summary}`)
      return `${faultCount} faults, the first: ${sentences[0]}`
    } finally {
      await run.disk.close()
    }
  }

  #crashRun({ seed, ...parts }: Trial): CrashRun {
    return new CrashRun({ ...parts, python: this.#python, random: new Prng(seed, 'crash') })
  }
}

interface Trial {
  readonly folder: string
  readonly disk: PlainDisk | LoopDisk
  readonly deaths: number
  readonly seed: number
  readonly mutant?: Mutant
  readonly library?: string
}

/** A directory that a run has left, its daemon stopped. */
interface LeftBehind {
  readonly disk: PlainDisk | LoopDisk
  readonly isShown: boolean
  readonly summary: string
  judge(bootstrap: string): Promise<Judgement>
}

async function main(): Promise<number> {
  const python = foreignPython()
  if (python.path === null) {
    console.log(`crash: ${python.why}`)
    return 0
  }
  const folder = mkdtempSync(join(tmpdir(), 'headwater-crash-'))
  const suite = new Suite(folder, python.path)
  try {
    await runWhatIsAsked(suite)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const { passed, failed, skipped } = suite.counts
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  return failed === 0 ? 0 : 1
}

async function runWhatIsAsked(suite: Suite): Promise<void> {
  const seed = Number(flags.seed)
  const fileSystems = fileSystemsAsked()
  if (flags.mutant !== undefined) {
    const [fileSystem = 'ext4'] = fileSystems
    const deaths = Number(flags.cuts ?? flags.kills ?? '20')
    return suite.mutantIsSeen(mutantNamed(flags.mutant), deaths, flags.cuts === undefined ? null : fileSystem, seed)
  }
  const { kills: killsAsked, cuts: cutsAsked, syscalls, gigabytes } = flags
  const isWhole =
    [killsAsked, cutsAsked, syscalls, gigabytes].every((each) => each === undefined) &&
    !flags['no-sync-library'] &&
    !flags['full-disk']
  const kills = Number(killsAsked ?? (isWhole ? 30 : 0))
  const cuts = Number(cutsAsked ?? (isWhole ? 10 : 0)) / fileSystems.length
  const isShown = flags.foreign || isWhole
  const parts: (() => Promise<void>)[] = []
  if (kills > 0) parts.push(() => suite.kills(kills, seed, isShown))
  if (isWhole || syscalls !== undefined) {
    const deathsMax = syscalls === 'all' ? null : Number(syscalls ?? syscallDeaths)
    parts.push(() => suite.syscalls(deathsMax, Number(flags.from), seed))
  }
  for (const fileSystem of fileSystems)
    if (cuts > 0) parts.push(() => suite.cuts(fileSystem, Math.ceil(cuts), seed, flags.foreign))
  if (gigabytes !== undefined) parts.push(() => suite.gigabytes(Number(gigabytes)))
  for (const fileSystem of isWhole ? fileSystems.slice(0, 1) : fileSystems)
    if (isWhole || flags['full-disk']) parts.push(() => suite.fullDisk(fileSystem, seed, isShown))
  for (const fileSystem of fileSystems)
    if (isWhole || flags['no-sync-library']) parts.push(() => suite.missingSyncIsSeen(fileSystem, seed))
  // What is asked for by name has the machine for itself.
  await mapBounded(parts, isWhole ? 2 : 1, (part) => part())
}

function fileSystemsAsked(): readonly FileSystem[] {
  if (flags.fs === undefined) return ['ext4', 'xfs']
  if (flags.fs !== 'ext4' && flags.fs !== 'xfs') throw new Error(`--fs is ext4 or xfs, not ${flags.fs}`)
  return [flags.fs]
}

function mutantNamed(name: string): Mutant {
  const mutant = mutants.find((candidate) => candidate.name === name)
  if (mutant === undefined)
    throw new Error(`no mutant ${name}; there are ${mutants.map((each) => each.name).join(', ')}`)
  return mutant
}

function partsOf(total: number): number[] {
  const count = Math.ceil(total / deathsPerDirectory)
  return Array.from({ length: count }, (_, part) => Math.min(deathsPerDirectory, total - part * deathsPerDirectory))
}

function demandNoFault({ faultCount, sentences }: Judgement): void {
  if (faultCount > 0) throw new Error(`${faultCount} faults\n  ${sentences.join('\n  ')}`)
}

// Last, because the class above must exist by then.
process.exitCode = await main()
