/** The command line where no daemon runs: misuse, configuration, and what is said when nobody answers. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { cleanEnvironment, headwater, headwaterProgram } from './headwater-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-cli-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('headwater', () => {
  it.each([
    [['--bogus'], "unknown option '--bogus'"],
    [['topics', 'fly'], "unknown command 'fly'"],
    [['start', '--kafka'], 'argument missing'],
    [['start', 'here'], 'too many arguments'],
    [['topics', 'create'], "missing required argument 'topic'"],
    [['topics', 'create', 'a', '--partitions', 'many'], 'A whole number is wanted'],
    [['topics', 'create', 'a', '--config', 'x'], 'NAME=VALUE is wanted'],
    [['topics', 'list', '-b', 'nowhere'], 'HOST:PORT'],
  ])('answers misuse with status 2 and the reason: %j', (args, reason) => {
    const outcome = headwater(args)
    expect(outcome.stderr).toContain(reason)
    expect(outcome.status).toBe(2)
    expect(outcome.stdout).toBe('')
  })

  it('answers --version and --help with status 0', () => {
    expect(headwater(['--version'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
    const help = headwater(['--help'])
    expect(help.status).toBe(0)
    for (const command of [
      'start',
      'topics',
      'produce',
      'consume',
      'groups',
      'mirror',
      'mqtt',
      'status',
      'config',
      'doctor',
      'dump-log',
      'export-kafka',
      'demo',
    ]) {
      expect(help.stdout).toMatch(new RegExp(`^ {2}${command}`, 'm'))
    }
  })

  it('has --json on every command that prints', () => {
    const commands = [
      'topics list',
      'topics create',
      'topics describe',
      'topics delete',
      'topics alter',
      'produce',
      'consume',
      'groups list',
      'mqtt route',
    ]
    const more = [
      'groups describe',
      'groups reset-offsets',
      'groups delete',
      'mirror status',
      'status',
      'config print',
      'config check',
      'dump-log',
      'export-kafka',
      'demo',
    ]
    for (const command of [...commands, ...more]) {
      const help = headwater([...command.split(' '), '--help']).stdout
      expect(help).toContain('--json')
      expect(help, 'defaults as a user would write them').not.toMatch(/default: [[{]/)
    }
  }, 60_000)

  it('says who gives no answer, and what to do', async () => {
    const server = createServer()
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
    await new Promise((resolve) => server.close(resolve))
    const status = headwater(['status', '--http', `127.0.0.1:${port}`])
    expect(status).toMatchObject({ status: 1, stdout: '' })
    expect(status.stderr).toContain('ECONNREFUSED')
    expect(status.stderr).toContain('Start the daemon')
    const topics = headwater(['topics', 'list', '-b', `127.0.0.1:${port}`])
    expect(topics).toMatchObject({ status: 1, stdout: '' })
    expect(topics.stderr).toContain(`no broker answers at 127.0.0.1:${port}`)
  })
})

describe('a place that is none', () => {
  it.each(['nowhere', '127.0.0.1', 'http://a b:1', ':9640'])(
    'is refused before anybody is asked: --http %s',
    (place) => {
      const { status, stderr } = headwater(['status', '--http', place])
      expect(status).toBe(1)
      expect(stderr).toContain(`--http: "${place}" is not HOST:PORT or https://HOST:PORT`)
    },
  )

  it('is no data directory whose recovery could be confirmed, and none with an audit', () => {
    const absent = join(folder, 'absent')
    const confirmed = headwater(['recover', 'confirm', '--data-dir', absent])
    expect(confirmed).toMatchObject({ status: 1, stdout: '' })
    expect(confirmed.stderr).toContain(`${absent} is not a data directory`)
    expect(existsSync(absent)).toBe(false)
    for (const more of [[], ['--topic']]) {
      const audit = headwater(['audit', 'verify', '--data-dir', absent, ...more])
      expect(audit).toMatchObject({ status: 1, stdout: '' })
      expect(audit.stderr).toContain('there is no audit in ')
      expect(audit.stderr).toContain('audit.keep')
    }
  })
})

describe('headwater start', () => {
  it('says of an address that is taken what to do about it', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const place = typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : ''
    for (const taken of ['--kafka', '--http']) {
      const flags = ['--kafka', '--mqtt', '--http'].flatMap((flag) => [flag, flag === taken ? place : '127.0.0.1:0'])
      const { status, stderr } = headwater(['start', '--data-dir', join(folder, 'taken'), ...flags])
      expect(status).toBe(1)
      expect(stderr).toMatch(new RegExp(`^headwater: .*${place}: EADDRINUSE\\n {2}Somebody listens there already`, 'm'))
    }
    server.close()
    await once(server, 'close')
  })
})

describe('stdout of a command', () => {
  const shell = (line: string) =>
    spawnSync('sh', ['-c', line, 'sh', headwaterProgram], {
      encoding: 'utf8',
      timeout: 30_000,
      env: cleanEnvironment(),
    })

  it('ends it quietly when its reader has seen enough', () => {
    const { status, stderr } = shell('{ sh "$1" config print; echo "status $?" >&2; } | true')
    expect(status).toBe(0)
    expect(stderr).toBe('status 0\n')
  })

  it.each(['config print', '--help', 'topics --help'])(
    'fails it with a sentence when the disk is full: %s',
    (words) => {
      const { status, stderr } = shell(`sh "$1" ${words} > /dev/full`)
      expect(status).toBe(1)
      expect(stderr).toContain('standard output takes no more: ENOSPC')
      expect(stderr).not.toMatch(/^\s+at /m)
    },
  )
})

describe('headwater config', () => {
  it('prints what is in force and where it comes from', () => {
    const file = join(folder, 'good.yaml')
    writeFileSync(file, 'node: { site: plant-7 }\n')
    const outcome = headwater(['config', 'print', '--config', file, '--http', '127.0.0.1:0', '--json'])
    expect(outcome.status).toBe(0)
    const entries = JSON.parse(outcome.stdout) as { key: string; value: unknown; origin: string }[]
    expect(entries).toContainEqual(expect.objectContaining({ key: 'node.site', value: 'plant-7', origin: 'file' }))
    expect(entries).toContainEqual(
      expect.objectContaining({ key: 'listeners.http.listen', value: '127.0.0.1:0', origin: 'flag' }),
    )
    const { stdout } = headwater(['config', 'print', '--config', file])
    expect(stdout).toMatch(/^node\.site +plant-7 +file$/m)
    // Sections that are not there: their keys have no value, whatever their defaults were.
    expect(stdout).toMatch(/^mqtt\.sparkplug\.topic +null +default$/m)
    expect(stdout).toMatch(/^kerberos\.keytab +null +default$/m)
  })

  it('checks with status 1 and every fault, and start refuses the same file in the same words', () => {
    const file = join(folder, 'bad.yaml')
    writeFileSync(file, 'dataDirr: x\nnode:\n  id: one\n')
    const check = headwater(['config', 'check', '--config', file])
    expect(check.status).toBe(1)
    expect(check.stdout).toContain(`${file}:1: dataDirr: there is no such key; did you mean dataDir?`)
    expect(check.stdout).toContain(`${file}:3: node.id:`)
    const start = headwater(['start', '--config', file])
    expect(start).toMatchObject({ status: 1, stdout: '' })
    expect(start.stderr).toContain('did you mean dataDir?')
  })

  it('refuses a file that is not there, and does without the usual one', () => {
    expect(headwater(['config', 'check', '--config', join(folder, 'absent.yaml')])).toMatchObject({
      status: 1,
      stdout: '',
    })
    expect(headwater(['config', 'check'], { cwd: folder })).toMatchObject({
      status: 0,
      stdout:
        'the configuration is valid (there is no headwater.yaml here: defaults, HEADWATER_ variables and flags)\n',
    })
    writeFileSync(join(folder, 'headwater.yaml'), 'nod: {}\n')
    expect(headwater(['config', 'check'], { cwd: folder })).toMatchObject({ status: 1 })
  })
})
