/** What a stranger finds at a daemon as it comes: which ports it has, what answers without a name, and what no port should do. */
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningHeadwater, startHeadwater } from '../interop/headwater.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-black-box-'))
const logFile = join(folder, 'log')
let daemon: RunningHeadwater

beforeAll(async () => {
  const configFile = join(folder, 'headwater.yaml')
  writeFileSync(configFile, 'log: { level: debug }\n')
  daemon = await startHeadwater({ dataDir: join(folder, 'data'), configFile, logFile })
})
afterAll(async () => {
  await daemon.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** `ADDRESS:PORT` of every TCP socket that the process listens on. */
function listening(): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${daemon.pid}/fd`).flatMap((fd) => {
      try {
        return [/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${daemon.pid}/fd/${fd}`))?.[1] ?? '']
      } catch {
        return []
      }
    }),
  )
  return ['tcp', 'tcp6'].flatMap((kind) =>
    readFileSync(`/proc/${daemon.pid}/net/${kind}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => words[3] === '0A' && inodes.has(words[9] ?? ''))
      .map((words) => words[1] ?? ''),
  )
}

/** 127.0.0.1 as the kernel writes it. */
const loopback = /^0100007F:/

/** Sends bytes to the HTTP listener and answers what comes back until it closes or says no more. */
async function raw(bytes: string): Promise<string> {
  const [host = '', port = ''] = daemon.http.split(':')
  const socket = connect(Number(port), host)
  let answer = ''
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString()
  })
  socket.on('error', () => {})
  socket.write(bytes)
  await once(socket, 'close')
  return answer
}

describe('a daemon as it comes', () => {
  it('listens on three ports of the loopback and nowhere else', () => {
    const places = listening()
    expect(places).toHaveLength(3)
    for (const place of places) expect(place).toMatch(loopback)
  })

  it('does not open a debugger when it is asked to by a signal', async () => {
    const before = listening()
    process.kill(daemon.pid, 'SIGUSR1')
    // The signal has arrived when a request behind it is answered; the debugger would listen within some milliseconds more.
    for (let turn = 0; turn < 20; turn++) expect((await fetch(`http://${daemon.http}/health/live`)).status).toBe(200)
    expect(listening()).toEqual(before)
    expect(readFileSync(logFile, 'utf8')).not.toContain('Debugger')
  })

  it('does not take a request whose length is said in two ways, nor one smuggled behind it', async () => {
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const both = `POST /api/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${smuggled.length + 5}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n${smuggled}`
    const answer = await raw(both)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).not.toContain('/smuggled')
    expect(answer.match(/^HTTP\/1\.1 \d/gm)).toHaveLength(1)
  })
})
