/** Starts that must fail: each with one clear sentence, a non-zero exit code, and a directory that serves afterwards. */
import { strict as assert } from 'node:assert'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type ProgramResult, program } from '../interop/case.ts'
import { repositoryRoot } from '../interop/headwater.ts'
import { daemonCommand, startDaemon } from './command.ts'
import { expectRecords, makeTemplate, type Template } from './template.ts'
import { each, type Group, type OpenGroup, type Row } from './row.ts'

const startDeadlineMs = 20_000

interface Refusal {
  readonly name: string
  /** Damages the copy; answers how to undo it. */
  readonly spoil: (dataDir: string) => (() => void) | void
  /** What stderr says. */
  readonly says: RegExp
}

export const startup: Group = {
  name: 'start',
  async open(folder): Promise<OpenGroup> {
    const template = await makeTemplate(join(folder, 'template'))
    let copies = 0
    const copy = (): string => {
      const dataDir = join(folder, `copy-${copies++}`)
      cpSync(template.dataDir, dataDir, { recursive: true })
      return dataDir
    }
    return {
      rows: [
        configRow(folder),
        portRow(folder, copy, template),
        refusalRow('a data directory that cannot be written is refused', unwritable(), copy, template),
        refusalRow(
          'a data directory of a newer format, of another node, of another cluster or of two directories is refused',
          foreign(),
          copy,
          template,
        ),
        secondDaemonRow(folder, copy, template),
        javaRow(copy, template),
      ],
      close: async () => {},
    }
  },
}

/** Runs the daemon to its end; fails when it becomes ready. */
export async function failToStart(dataDir: string, ...flags: readonly string[]): Promise<ProgramResult> {
  const [name = '', ...words] = daemonCommand()
  const listeners = ['kafka', 'mqtt', 'http'].flatMap((listener) =>
    flags.includes(`--${listener}`) ? [] : [`--${listener}`, '127.0.0.1:0'],
  )
  const environment = Object.entries(process.env).filter(([variable]) => !variable.startsWith('HEADWATER_'))
  const args = [...words, 'start', '--data-dir', dataDir, ...listeners, ...flags]
  const result = await program(name, args, { timeoutMs: startDeadlineMs, env: Object.fromEntries(environment) })
  assert.ok(!result.stdout.includes('ready '), 'the daemon has started')
  assert.notEqual(result.code, 0, 'exit code 0')
  assert.notEqual(result.code, -1, `the daemon did not end\n${result.stderr}`)
  assert.doesNotMatch(result.stderr, /^\s+at .*:\d+:\d+\)?$/m, `a stack trace\n${result.stderr}`)
  return result
}

function says(result: ProgramResult, sentence: RegExp): void {
  const told = result.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
  assert.ok(told.length <= 8, `${told.length} lines:\n${result.stderr}`)
  assert.match(told.join('\n'), sentence)
}

function refusalRow(name: string, refusals: readonly Refusal[], copy: () => string, template: Template): Row {
  return {
    name,
    missing: name.includes('cannot be written') ? immutableMissing() : null,
    run: () =>
      each(refusals, async ({ spoil, says: sentence }) => {
        const dataDir = copy()
        const undo = spoil(dataDir) ?? (() => {})
        const result = await failToStart(dataDir).finally(undo)
        says(result, sentence)
        await expectRecords(dataDir, template)
        rmSync(dataDir, { recursive: true })
      }),
  }
}

// ----------------------------------------------------------------------------------------- configuration

function configRow(folder: string): Row {
  const cases: readonly { readonly name: string; readonly yaml: string; readonly says: RegExp }[] = [
    {
      name: 'a key with a slip',
      yaml: 'mqtt:\n  conectDeadline: 3s\n',
      says: /:2: mqtt\.conectDeadline.*mqtt\.connectDeadline/,
    },
    { name: 'a section with a slip', yaml: 'listners:\n  http: {}\n', says: /:1: listners.*listeners/ },
    {
      name: 'a setting of Kafka with a slip',
      yaml: 'kafka:\n  num.partition: 4\n',
      says: /:2: .*num\.partition.*num\.partitions/,
    },
    { name: 'a wrong unit', yaml: 'mqtt:\n  packetMax: 64Kb\n', says: /:2: mqtt\.packetMax: "64Kb".*KiB/ },
    { name: 'no unit', yaml: 'mqtt:\n  keepAliveMax: 90\n', says: /:2: mqtt\.keepAliveMax: 90 has no unit/ },
    {
      name: 'a number that is none',
      yaml: 'kafka:\n  num.partitions: many\n',
      says: /:2: kafka\.num\.partitions.*many/,
    },
    { name: 'a number out of bounds', yaml: 'mqtt:\n  receiveMaximum: 70000\n', says: /:2: mqtt\.receiveMaximum/ },
    {
      name: 'an address that is none',
      yaml: mirrorTo('nowhere'),
      says: /:4: mirrors\[0\]\.bootstrapServers.*"nowhere"/,
    },
    { name: 'a key twice', yaml: 'node: { id: 1 }\nnode: { id: 2 }\n', says: /unique/ },
    { name: 'what is no YAML', yaml: 'node: [\n', says: /headwater\.yaml/ },
    { name: 'a list', yaml: '- node\n', says: /mapping of keys/ },
    { name: 'a policy that is none', yaml: 'kafka:\n  log.cleanup.policy: shred\n', says: /compact/ },
    { name: 'an unfolding bomb', yaml: bomb(), says: /headwater\.yaml/ },
  ]
  return {
    name: 'a configuration with a fault names its line, the key and what would be right',
    run: () =>
      each(cases, async ({ yaml, says: sentence }) => {
        const file = join(folder, 'headwater.yaml')
        writeFileSync(file, yaml)
        says(await failToStart(join(folder, 'never'), '--config', file), sentence)
      }),
  }
}

function mirrorTo(address: string): string {
  return `mirrors:\n  - name: central\n    topics: [ a ]\n    bootstrapServers: [ ${address} ]\n`
}

function bomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let level = 1; level < 9; level++) {
    lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`)
  }
  return `${lines.join('\n')}\n`
}

// ------------------------------------------------------------------------------------------------- ports

function portRow(folder: string, copy: () => string, template: Template): Row {
  return {
    name: 'an occupied port is refused, and the listener is named',
    async run() {
      const holder = createServer()
      holder.listen(0, '127.0.0.1')
      await once(holder, 'listening')
      const address = holder.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      const dataDir = copy()
      try {
        await each(
          ['kafka', 'mqtt', 'http'].map((name) => ({ name })),
          async ({ name }) => {
            const result = await failToStart(dataDir, `--${name}`, `127.0.0.1:${port}`)
            says(result, new RegExp(`${name}(\\[0\\])? on 127\\.0\\.0\\.1:${port}.*EADDRINUSE`))
          },
        )
        const config = join(folder, 'two.yaml')
        const two = `[ { listen: "127.0.0.1:0" }, { listen: "127.0.0.1:${port}" } ]`
        writeFileSync(config, `listeners:\n  mqtt: ${two}\n`)
        const [name = '', ...words] = daemonCommand()
        const args = [...words, 'start', '--config', config, '--data-dir', dataDir]
        const second = await program(name, [...args, '--kafka', '127.0.0.1:0', '--http', '127.0.0.1:0'], {
          timeoutMs: startDeadlineMs,
        })
        assert.match(second.stderr, new RegExp(`mqtt\\[1\\] on 127\\.0\\.0\\.1:${port}.*EADDRINUSE`))
      } finally {
        holder.close()
      }
      await expectRecords(dataDir, template)
    },
  }
}

// ------------------------------------------------------------------------------------------- directories

const isRoot = process.getuid?.() === 0

/** As root nothing but the immutable flag keeps a file from being written. */
function immutableMissing(): string | null {
  if (!isRoot) return null
  const probe = join(repositoryRoot, '.cache', 'immutable-probe')
  mkdirSync(probe, { recursive: true })
  const works = spawnSync('chattr', ['+i', probe]).status === 0
  spawnSync('chattr', ['-i', probe])
  return works ? null : 'skipped: no chattr here that makes a file immutable (Debian: apt-get install e2fsprogs)'
}

function locked(path: string): () => void {
  if (!isRoot) {
    chmodSync(path, 0o500)
    return () => chmodSync(path, 0o700)
  }
  assert.equal(spawnSync('chattr', ['+i', path]).status, 0, `chattr +i ${path}`)
  return () => void spawnSync('chattr', ['-i', path])
}

function unwritable(): readonly Refusal[] {
  const reason = /cannot be used: .*(EPERM|EACCES)/
  return [
    { name: 'log/', spoil: (dataDir) => locked(join(dataDir, 'log')), says: reason },
    { name: 'state/', spoil: (dataDir) => locked(join(dataDir, 'state')), says: reason },
    {
      name: 'log/ and state/ missing in a folder that takes nothing',
      spoil(dataDir) {
        cpSync(dataDir, `${dataDir}-kept`, { recursive: true })
        for (const part of ['log', 'state']) rmSync(join(dataDir, part), { recursive: true })
        const unlock = locked(dataDir)
        return () => {
          unlock()
          cpSync(`${dataDir}-kept`, dataDir, { recursive: true })
        }
      },
      says: reason,
    },
    {
      name: 'a file in the place of log/',
      spoil(dataDir) {
        cpSync(join(dataDir, 'log'), `${dataDir}-log`, { recursive: true })
        rmSync(join(dataDir, 'log'), { recursive: true })
        writeFileSync(join(dataDir, 'log'), 'a file')
        return () => {
          rmSync(join(dataDir, 'log'))
          cpSync(`${dataDir}-log`, join(dataDir, 'log'), { recursive: true })
        }
      },
      says: /cannot be used: .*(EEXIST|ENOTDIR)/,
    },
  ]
}

function foreign(): readonly Refusal[] {
  const file = (dataDir: string): string => join(dataDir, 'log', 'meta.properties')
  /** As another program would write it: without our checksum. */
  const rewritten = (change: (text: string) => string) => (dataDir: string) => {
    const before = readFileSync(file(dataDir), 'utf8')
    writeFileSync(file(dataDir), change(before.replace(/^#.*\n/, '#\n')))
    return () => writeFileSync(file(dataDir), before)
  }
  return [
    {
      name: 'a newer format',
      spoil: rewritten((text) => text.replace('version=1', 'version=2')),
      says: /format version 2/,
    },
    {
      name: 'another node',
      spoil: rewritten((text) => text.replace('node.id=1', 'node.id=7')),
      says: /belongs to node 7, not to node 1/,
    },
    {
      name: 'another cluster',
      spoil: rewritten((text) => text.replace(/cluster\.id=.*/, 'cluster.id=anotherCluster')),
      says: /belongs to cluster anotherCluster, not to/,
    },
    {
      name: 'another directory',
      spoil: rewritten((text) => text.replace(/directory\.id=.*/, 'directory.id=AbCdEfGhIjKlMnOpQrStUw')),
      says: /is of directory AbCdEfGhIjKlMnOpQrStUw/,
    },
  ]
}

function secondDaemonRow(folder: string, copy: () => string, template: Template): Row {
  return {
    name: 'a second daemon on the same directory is refused with the pid of the first, also by another path; the first serves on',
    async run() {
      const dataDir = copy()
      const first = await startDaemon({ dataDir })
      try {
        symlinkSync(dataDir, join(folder, 'by-another-name'))
        for (const path of [dataDir, `${dataDir}/../${dataDir.split('/').at(-1)}`, join(folder, 'by-another-name')]) {
          says(await failToStart(path), new RegExp(`in use by process ${first.pid}\\b`))
        }
        await template.expectIn(first)
      } finally {
        await first.kill()
      }
      await expectRecords(dataDir, template)
    },
  }
}

function javaRow(copy: () => string, template: Template): Row {
  return {
    name: 'a lock as Apache Kafka takes it (java.nio FileLock) keeps the daemon out, with the pid, and the other way round',
    missing: spawnSync('java', ['--list-modules'], { encoding: 'utf8' }).stdout.includes('jdk.compiler')
      ? null
      : 'skipped: no java that runs a source file (Debian: apt-get install default-jdk-headless)',
    async run() {
      const dataDir = copy()
      const lock = join(dataDir, 'log', '.lock')
      const holder = await startJava(lock)
      try {
        assert.equal(holder.says, `held ${holder.pid}`)
        says(await failToStart(dataDir), new RegExp(`in use by process ${holder.pid}\\b`))
      } finally {
        await holder.end()
      }
      const daemon = await startDaemon({ dataDir })
      try {
        const late = await startJava(lock)
        assert.equal(late.says, 'refused')
        await late.end()
        await template.expectIn(daemon)
      } finally {
        assert.equal(await daemon.stop(), 0)
      }
    },
  }
}

async function startJava(lock: string) {
  const source = join(repositoryRoot, 'test/node/java/LockHolder.java')
  const child = spawn('java', ['-XX:TieredStopAtLevel=1', source, lock], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    says: String((await lines.next()).value),
    pid: child.pid,
    async end(): Promise<void> {
      child.stdin.end('\n')
      await ended
    },
  }
}
