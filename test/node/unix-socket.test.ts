import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EchoListener } from './listener-probe.ts'

let folder: string
const closers: (() => Promise<void> | void)[] = []

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-unix-'))
  closers.push(() => fs.rmSync(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function open(file: string, mode = 0o660): Promise<EchoListener> {
  const listener = new EchoListener()
  closers.push(() => listener.close())
  return listener.open({}, { path: file, mode })
}

describe('a Unix socket', () => {
  it('has the permissions that are asked for, carries bytes, and counts its clients as local', async () => {
    const file = path.join(folder, 'door.sock')
    const listener = await open(file, 0o600)
    expect(fs.statSync(file).mode & 0o777).toBe(0o600)
    const socket = net.connect(file)
    socket.write('hello')
    expect(String((await once(socket, 'data'))[0])).toBe('hello')
    socket.destroy()
    expect(listener.peers[0]).toMatchObject({ remoteHost: '127.0.0.1', isEncrypted: false })
    expect(listener.listener).toMatchObject({ path: file })
  })

  it('takes the place of a listener that is gone, and its file goes with it', async () => {
    const file = path.join(folder, 'door.sock')
    const left = spawnSync(process.execPath, [
      '-e',
      `require('node:net').createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ])
    expect(left.signal).toBe('SIGKILL')
    expect(fs.existsSync(file)).toBe(true)
    const listener = await open(file)
    const socket = net.connect(file)
    await once(socket, 'connect')
    socket.destroy()
    await listener.close()
    expect(fs.existsSync(file)).toBe(false)
  })

  it('does not take the place of one that somebody listens behind', async () => {
    const file = path.join(folder, 'door.sock')
    await open(file)
    await expect(open(file)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    const socket = net.connect(file)
    await once(socket, 'connect')
    socket.destroy()
  })

  it('does not remove a file that is no socket', async () => {
    const file = path.join(folder, 'notes.txt')
    fs.writeFileSync(file, 'mine')
    await expect(open(file)).rejects.toMatchObject({ code: 'EEXIST' })
    expect(fs.readFileSync(file, 'utf8')).toBe('mine')
  })

  it('with a path that the kernel would cut is refused', async () => {
    await expect(open(path.join(folder, 'x'.repeat(120)))).rejects.toMatchObject({ code: 'ENAMETOOLONG' })
  })
})
