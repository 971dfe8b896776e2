/** A reader of the log that stalls, goes away or reads slowly. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { LogDestination } from '../../src/admin/log-destination.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-destination-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const waitMs = { timeout: 10_000, interval: 5 }
/** Of the destination. */
const backlogBytesMax = 1_048_576
/** What the kernel keeps of a pipe that is not read. */
const pipeBytes = 65_536

/** A pipe with its reader, which reads when it is told to. */
class Pipe {
  readonly path: string
  readonly descriptor: number
  #reader: number
  text = ''

  constructor(name: string) {
    this.path = join(folder, name)
    expect(spawnSync('mkfifo', [this.path]).status).toBe(0)
    this.#reader = this.#openReader()
    this.descriptor = openSync(this.path, 'a')
  }

  get lines(): readonly string[] {
    return this.text.split('\n').slice(0, -1)
  }

  /** Takes what is there. */
  read(): void {
    const bytes = Buffer.alloc(pipeBytes)
    for (;;) {
      const count = attempt(() => readSync(this.#reader, bytes))
      if (count <= 0) return
      this.text += bytes.toString('latin1', 0, count)
    }
  }

  /** Reads until `isEnough`. */
  async readUntil(isEnough: () => boolean): Promise<void> {
    await vi.waitFor(() => {
      this.read()
      expect(isEnough()).toBe(true)
    }, waitMs)
  }

  /** Fills the kernel's part. */
  fill(): void {
    const writer = openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK)
    while (attempt(() => writeSync(writer, 'f'.repeat(4_096))) > 0);
    closeSync(writer)
  }

  hangUp(): void {
    closeSync(this.#reader)
  }

  readAgain(): void {
    this.#reader = this.#openReader()
  }

  close(): void {
    this.hangUp()
    closeSync(this.descriptor)
  }

  #openReader(): number {
    return openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK)
  }
}

function attempt(call: () => number): number {
  try {
    return call()
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EAGAIN') return -1
    throw thrown
  }
}

function openOn(descriptor: number): LogDestination {
  const destination: LogDestination = new LogDestination({
    descriptor,
    onResumed: (count) => destination.write(`lost ${count}\n`),
  })
  return destination
}

/** `number` and a filling. */
function line(number: number, bytes = 1_000): string {
  return `${String(number).padEnd(bytes - 1, '.')}\n`
}

describe('a reader that stalls', () => {
  it('costs memory up to the bound, then lines, and is told in their place how many', async () => {
    const pipe = new Pipe('stalled')
    const destination = openOn(pipe.descriptor)
    const count = 6_000
    // Long and short ones: no short one slips in behind a long one that is missing.
    const lineAt = (number: number): string => line(number, number % 2 === 0 ? 1_000 : 50)
    for (let number = 0; number < count; number++) destination.write(lineAt(number))
    await pipe.readUntil(() => pipe.text.includes('lost'))
    destination.write(lineAt(count))
    await pipe.readUntil(() => pipe.text.endsWith(lineAt(count)))
    const kept = pipe.lines.findIndex((each) => each.startsWith('lost'))
    const keptText = Array.from({ length: kept }, (_, number) => lineAt(number)).join('')
    expect(pipe.text).toBe(`${keptText}lost ${count - kept}\n${lineAt(count)}`)
    expect(keptText.length).toBeGreaterThan(backlogBytesMax / 2)
    expect(keptText.length).toBeLessThanOrEqual(backlogBytesMax + pipeBytes)
    pipe.close()
  })

  it('gets every line whole and once when it reads again, whatever was flushed meanwhile', async () => {
    const pipe = new Pipe('again')
    pipe.fill()
    const destination = openOn(pipe.descriptor)
    for (let number = 0; number < 300; number++) {
      destination.write(line(number, 3_000))
      if (number % 100 === 50) destination.flush()
    }
    await pipe.readUntil(() => pipe.text.endsWith(line(299, 3_000)))
    const text = pipe.text.replace(/^f+/, '')
    expect(text).toBe(Array.from({ length: 300 }, (_, number) => line(number, 3_000)).join(''))
    pipe.close()
  })

  it('gets a line that is larger than the pipe in pieces', async () => {
    const pipe = new Pipe('large')
    const destination = openOn(pipe.descriptor)
    const long = line(1, 3 * pipeBytes)
    destination.write(long)
    destination.write(line(2))
    await pipe.readUntil(() => pipe.text.length >= long.length + 1_000)
    expect(pipe.text).toBe(long + line(2))
    pipe.close()
  })

  it('does not get a line larger than the bound, but that it is missing', async () => {
    const pipe = new Pipe('too-large')
    const destination = openOn(pipe.descriptor)
    destination.write(line(1, backlogBytesMax + 1))
    destination.write(line(2, 10))
    await pipe.readUntil(() => pipe.lines.length === 2)
    expect(pipe.text).toBe(`${line(2, 10)}lost 1\n`)
    pipe.close()
  })
})

describe('a reader that has gone', () => {
  it('costs the lines meanwhile, keeps none of them, and the next reader is told how many', async () => {
    const pipe = new Pipe('gone')
    const destination = openOn(pipe.descriptor)
    pipe.hangUp()
    for (let number = 0; number < 10; number++) destination.write(line(number))
    await vi.waitFor(() => expect(destination.waitingBytes).toBe(0), waitMs)
    pipe.readAgain()
    destination.write(line(10))
    await pipe.readUntil(() => pipe.lines.length === 2)
    expect(pipe.text).toBe(`${line(10)}lost 10\n`)
    pipe.close()
  })
})

interface Outcome {
  readonly code: number | null
  readonly grownMiB: number
}

/** Runs stalled-log.ts; nobody reads its stderr. */
function runStalled(stderr: number | 'pipe'): Promise<Outcome> {
  const script = join(import.meta.dirname, 'stalled-log.ts')
  const child: ChildProcess = spawn(process.execPath, ['--expose-gc', script], { stdio: ['ignore', 'pipe', stderr] })
  let output = ''
  child.stdout?.on('data', (bytes) => {
    output += bytes
  })
  const deadline = setTimeout(() => child.kill('SIGKILL'), 20_000)
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearTimeout(deadline)
      child.stderr?.destroy()
      resolve({ code, ...(JSON.parse(output === '' ? '{}' : output) as { grownMiB: number }) })
    })
  })
}

describe('a process whose stderr nobody reads', () => {
  // A hundred megabytes of lines: a tenth of them in memory would be seen.
  const grownMiBMax = 40

  it('goes on, keeps its memory and ends by itself: a pipe', async () => {
    const pipe = new Pipe('process')
    pipe.fill()
    const { code, grownMiB } = await runStalled(pipe.descriptor)
    expect(code).toBe(0)
    expect(grownMiB).toBeLessThan(grownMiBMax)
    pipe.close()
  })

  it('goes on, keeps its memory and ends by itself: a socket, as the journal gives', async () => {
    const { code, grownMiB } = await runStalled('pipe')
    expect(code).toBe(0)
    expect(grownMiB).toBeLessThan(grownMiBMax)
  })
})
