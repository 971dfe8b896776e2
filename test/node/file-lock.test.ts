import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AddOn } from '../../src/node/add-on.ts'
import { FileLocks } from '../../src/node/file-lock.ts'
import { testObserver } from './test-observer.ts'

const hasJava = spawnSync('java', ['--version']).status === 0
if (!hasJava) console.log('skipped: no java to take a lock as Apache Kafka does')

const lockHolderJava = fileURLToPath(new URL('./java/LockHolder.java', import.meta.url))
const lockHolderNode = fileURLToPath(new URL('./lock-holder.ts', import.meta.url))

let root = ''
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-lock-'))
})
afterEach(() => {
  fs.rmSync(root, { recursive: true })
})

/** Another process that tries to take a lock; `says` is its first line. */
async function otherProcess(command: string, flags: readonly string[]) {
  const child = spawn(command, flags, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const says = String((await lines.next()).value)
  const end = async (): Promise<void> => {
    child.stdin.end('\n')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  }
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  return { says, pid: child.pid as number, end, kill }
}

const anotherOfUs = (file: string, ...flags: string[]) =>
  otherProcess(process.execPath, [lockHolderNode, file, ...flags])

for (const without of [false, true]) {
  const flags = without ? ['without'] : []
  const newLocks = (): FileLocks => new FileLocks(new AddOn({ without }), testObserver())

  describe(without ? 'the lock by process id file' : 'the record lock', () => {
    it('is held once in this process, also under another name of the file', async () => {
      const locks = newLocks()
      const first = locks.lock(`${root}/.lock`)
      expect(first.held).toBe(true)
      expect(locks.isHeld(`${root}/.lock`)).toBe(true)
      expect(locks.lock(`${root}/.lock`)).toEqual({ held: false, holder: process.pid })
      fs.linkSync(`${root}/.lock`, `${root}/other-name`)
      expect(locks.lock(`${root}/other-name`)).toEqual({ held: false, holder: process.pid })
      if (first.held) await first.release()
      if (first.held) await first.release()
      expect(locks.isHeld(`${root}/.lock`)).toBe(false)
      const again = locks.lock(`${root}/.lock`)
      expect(again.held).toBe(true)
      if (again.held) await again.release()
    })

    it('keeps another process of ours out, tells who holds it, and goes when that dies', async () => {
      const holder = await anotherOfUs(`${root}/.lock`, ...flags)
      expect(holder.says).toBe('held')
      expect(newLocks().lock(`${root}/.lock`)).toEqual({ held: false, holder: holder.pid })
      await holder.kill()
      const mine = newLocks().lock(`${root}/.lock`)
      expect(mine.held).toBe(true)
      const refused = await anotherOfUs(`${root}/.lock`, ...flags)
      expect(refused.says).toBe(`refused by ${process.pid}`)
      await refused.end()
      if (mine.held) await mine.release()
      const next = await anotherOfUs(`${root}/.lock`, ...flags)
      expect(next.says).toBe('held')
      await next.end()
    })
  })
}

describe('the record lock and Apache Kafka’s', () => {
  it.skipIf(!hasJava)('keep each other out, and we can say which process it is', async () => {
    const locks = new FileLocks(new AddOn(), testObserver())
    const kafka = await otherProcess('java', [lockHolderJava, `${root}/.lock`])
    expect(kafka.says).toMatch(/^held \d+$/)
    expect(locks.lock(`${root}/.lock`)).toEqual({ held: false, holder: Number(kafka.says.slice(5)) })
    await kafka.end()
    const mine = locks.lock(`${root}/.lock`)
    expect(mine.held).toBe(true)
    const refused = await otherProcess('java', [lockHolderJava, `${root}/.lock`])
    expect(refused.says).toBe('refused')
    await refused.end()
    if (mine.held) await mine.release()
  })
})

describe('the lock by process id file', () => {
  it('says that it is weak, and takes over from a process that is gone or whose number is used again', async () => {
    const observer = testObserver()
    const locks = new FileLocks(new AddOn({ without: true }), observer)
    for (const stale of ['999999999 1\n', `${process.ppid} 1\n`, 'not a number\n']) {
      fs.writeFileSync(`${root}/.lock.pid`, stale)
      const lock = locks.lock(`${root}/.lock`)
      expect(lock.held).toBe(true)
      if (lock.held) await lock.release()
    }
    expect(observer.eventsOf('directory-lock-is-weak').length).toBe(3)
    expect(observer.eventsOf('stale-directory-lock-taken').length).toBe(3)
    expect(fs.readdirSync(root)).toEqual(['.lock'])
  })

  it('a directory that cannot be written is a disk error', () => {
    const locks = new FileLocks(new AddOn({ without: true }), testObserver())
    expect(() => locks.lock(`${root}/none/.lock`)).toThrow(
      expect.objectContaining({ name: 'DiskError', code: 'ENOENT' }),
    )
  })
})
