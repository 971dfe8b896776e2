import { once } from 'node:events'
import net from 'node:net'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it } from 'vitest'
import type { Connection } from '../../src/base/ports.ts'
import { AddOn, type Receiver } from '../../src/node/add-on.ts'
import { NodeNet } from '../../src/node/net.ts'
import { testObserver } from './test-observer.ts'

/** Writes down the rows of each call: how many bytes of how many sockets. */
class WatchedAddOn extends AddOn {
  readonly calls: number[][] = []

  override receiver(bytes: Uint8Array, rows: Int32Array, onRows: (count: number) => void): Receiver | null {
    return super.receiver(bytes, rows, (count) => {
      const ends = [...rows.subarray(0, 2 * count)].filter((_, at) => at % 2 === 1)
      this.calls.push(ends.map((end, at) => end - (ends[at - 1] ?? 0)))
      onRows(count)
    })
  }
}

/** A kernel that watches no more sockets. */
class FullAddOn extends AddOn {
  override receiver(bytes: Uint8Array, rows: Int32Array, onRows: (count: number) => void): Receiver | null {
    const receiver = super.receiver(bytes, rows, onRows)
    return receiver === null ? null : { ...receiver, watch: () => false }
  }
}

interface Pair {
  readonly connection: Connection
  readonly socket: net.Socket
  readonly received: Buffer[]
  onBytes: () => void
  closed: { readonly error: Error | null } | null
}

const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function listening(addOn: AddOn) {
  const port = new NodeNet({ observer: testObserver(), addOn })
  closers.push(() => port.close())
  const accepted = new Map<number, Omit<Pair, 'socket'>>()
  const onConnection = (connection: Connection): void => {
    const pair: Omit<Pair, 'socket'> = { connection, received: [], onBytes: () => {}, closed: null }
    accepted.set(connection.peer.remotePort, pair)
    connection.start({
      onBytes(bytes) {
        pair.received.push(Buffer.from(bytes))
        pair.onBytes()
      },
      onClose: (error) => void (pair.closed = { error }),
    })
  }
  const place = { host: '127.0.0.1', port: 0 }
  const listener = await port.listen('mqtt', place, onConnection, { bringsLittle: true })
  return { port, listener, accepted }
}

/** So many connections with a foreign client each. */
async function connected(addOn: AddOn, count: number): Promise<Pair[]> {
  const { listener, accepted } = await listening(addOn)
  const sockets = Array.from({ length: count }, () => net.connect(listener.port, '127.0.0.1'))
  for (const socket of sockets) {
    closers.push(() => void socket.destroy())
    socket.on('error', () => {})
    if (socket.connecting) await once(socket, 'connect')
  }
  await until(() => accepted.size === count)
  return sockets.map((socket) => Object.assign(accepted.get(socket.localPort ?? 0) as Pair, { socket }))
}

/** The test's own deadline ends a wait in vain. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

const turn = (): Promise<void> => new Promise(setImmediate)
const textOf = ({ received }: Pair): string => Buffer.concat(received).toString()

describe('what many connections bring', () => {
  it('is read in few calls, and comes to whom it is for', async () => {
    const addOn = new WatchedAddOn()
    const pairs = await connected(addOn, 300)
    const expected = pairs.map((_, index) => `${index};`.repeat(20))
    for (let round = 0; round < 20; round++) {
      for (const [index, { socket }] of pairs.entries()) socket.write(`${index};`)
      await until(() => pairs.every((pair, index) => textOf(pair).length >= `${index};`.length * (round + 1)))
    }
    expect(pairs.map(textOf)).toEqual(expected)
    // A call for each socket and round would be 6,000.
    expect(addOn.calls.length).toBeGreaterThan(0)
    expect(addOn.calls.length).toBeLessThan(600)
  })

  it('takes turns: one that brings much has a share of a call, and nothing of it is lost', async () => {
    const addOn = new WatchedAddOn()
    const pairs = await connected(addOn, 8)
    const content = pairs.map((_, index) => Buffer.alloc(3_000_000 + index, `${index}abcdefg`))
    for (const [index, { socket }] of pairs.entries()) socket.write(content[index] as Buffer)
    const lengthOf = ({ received }: Pair): number => received.reduce((sum, { length }) => sum + length, 0)
    await until(() => pairs.every((pair, index) => lengthOf(pair) === content[index]?.length))
    for (const [index, { received }] of pairs.entries()) {
      expect(Buffer.compare(Buffer.concat(received), content[index] as Buffer)).toBe(0)
    }
    const sums = addOn.calls.map((lengths) => lengths.reduce((sum, length) => sum + length, 0))
    expect(Math.max(...addOn.calls.flat())).toBeLessThanOrEqual(64 * 1024)
    expect(Math.max(...sums)).toBeLessThanOrEqual(256 * 1024)
  })

  it('waits for who is paused by an earlier one of the same call, and is not told to who is closed by it', async () => {
    const pairs = await connected(new WatchedAddOn(), 3)
    const [first, paused, closed] = pairs as [Pair, Pair, Pair]
    first.onBytes = () => {
      paused.connection.pause()
      closed.connection.destroy()
    }
    for (const { socket } of pairs) socket.write('one ')
    await until(() => closed.closed !== null)
    paused.socket.write('two ')
    // More than was read before: the memory of that is used again.
    first.socket.write('-'.repeat(50))
    await until(() => textOf(first).length === 54)
    expect([textOf(paused), textOf(closed)]).toEqual(['', ''])
    paused.connection.resume()
    // Who resumes has returned before he is told.
    expect(textOf(paused)).toBe('')
    await until(() => textOf(paused) === 'one two ')
    paused.socket.write('three')
    await until(() => textOf(paused) === 'one two three')
  })

  it('has not come to its end while who is paused by an earlier one of the same call has not read on', async () => {
    const [first, ending] = (await connected(new WatchedAddOn(), 2)) as [Pair, Pair]
    first.onBytes = () => ending.connection.pause()
    first.socket.write('.')
    ending.socket.end()
    await until(() => textOf(first) === '.')
    for (let round = 0; round < 20; round++) await turn()
    expect(ending.closed).toBe(null)
    ending.connection.resume()
    await until(() => ending.closed !== null)
  })

  it('goes on after any order of pauses and resumes', async () => {
    const [first, other] = (await connected(new WatchedAddOn(), 2)) as [Pair, Pair]
    const { connection } = other
    const steps = [
      ['pause', 'resume', 'pause'],
      ['resume', 'pause', 'resume', 'resume'],
      ['pause', 'pause', 'resume'],
    ] as const
    let step = 0
    first.onBytes = () => {
      for (const action of steps[step++ % steps.length] as (typeof steps)[number]) connection[action]()
    }
    for (let round = 0; round < 30; round++) {
      first.socket.write('.')
      other.socket.write(`${round};`)
      await until(() => step > round)
    }
    connection.resume()
    const expected = Array.from({ length: 30 }, (_, round) => `${round};`).join('')
    await until(() => textOf(other) === expected)
  })

  it('does not wake the loop while its connection is paused, and its end is met afterwards', async () => {
    const addOn = new WatchedAddOn()
    const [pair] = (await connected(addOn, 1)) as [Pair]
    pair.connection.pause()
    pair.socket.end('last words')
    await once(pair.socket, 'finish')
    for (let round = 0; round < 20; round++) await turn()
    expect([addOn.calls, pair.closed]).toEqual([[], null])
    pair.connection.resume()
    await until(() => pair.closed !== null)
    expect([textOf(pair), pair.closed]).toEqual(['last words', { error: null }])
  })

  it('is read by the socket where the kernel watches no more', async () => {
    const [pair] = (await connected(new FullAddOn(), 1)) as [Pair]
    pair.socket.write('one ')
    await until(() => textOf(pair) === 'one ')
    pair.connection.pause()
    pair.connection.resume()
    pair.socket.end('two')
    await until(() => pair.closed !== null)
    expect([textOf(pair), pair.closed]).toEqual(['one two', { error: null }])
  })

  it('is only its own, also where the descriptor was that of a connection before', async () => {
    const { listener, accepted } = await listening(new WatchedAddOn())
    for (let round = 0; round < 30; round++) {
      const sockets = Array.from({ length: 10 }, () => net.connect(listener.port, '127.0.0.1'))
      for (const socket of sockets) {
        socket.on('error', () => {})
        if (socket.connecting) await once(socket, 'connect')
        socket.write(`${socket.localPort};`)
      }
      const pairs = (): Pair[] =>
        sockets.map((socket) => accepted.get(socket.localPort ?? 0) as Pair).filter((pair) => pair !== undefined)
      await until(() => pairs().length === 10 && pairs().every((pair) => textOf(pair).endsWith(';')))
      const ends = pairs()
      expect(ends.map(textOf)).toEqual(sockets.map((socket) => `${socket.localPort};`))
      for (const [index, { connection }] of ends.entries()) {
        if (index % 2 === 0) connection.destroy()
        else sockets[index]?.resetAndDestroy()
      }
      await until(() => ends.every(({ closed }) => closed !== null))
      for (const socket of sockets) socket.destroy()
      accepted.clear()
    }
  })

  it('ends with its port, while the loop goes on', async () => {
    const addOn = new WatchedAddOn()
    const { port, listener, accepted } = await listening(addOn)
    const socket = net.connect(listener.port, '127.0.0.1').on('error', () => {})
    closers.push(() => void socket.destroy())
    await until(() => accepted.size === 1)
    const [pair] = [...accepted.values()] as [Pair]
    await port.close()
    await port.close()
    await until(() => pair.closed !== null)
    pair.connection.resume()
    pair.connection.pause()
    expect(pair.closed).toEqual({ error: null })
  })

  it('is no trouble for a thread that ends with a set of it open', async () => {
    const { file } = new AddOn()
    const program = `
      const module_ = { exports: {} }
      process.dlopen(module_, ${JSON.stringify(file)})
      const { receiverOpen, receiverWatch } = module_.exports
      const set = receiverOpen(Buffer.allocUnsafeSlow(65536), new Int32Array(16), () => {})
      const server = require('node:net').createServer((socket) => {
        receiverWatch(set, socket._handle.fd, 1)
        process.exit(7)
      })
      server.listen(0, '127.0.0.1', () => require('node:net').connect(server.address().port, '127.0.0.1'))
    `
    const worker = new Worker(program, { eval: true })
    const [code] = (await once(worker, 'exit')) as [number]
    expect(code).toBe(7)
  })
})

describe('a set of sockets', () => {
  it('refuses what it cannot use by its error', () => {
    const receiver = new AddOn().receiver(new Uint8Array(65_536), new Int32Array(4), () => {}) as Receiver
    closers.push(() => receiver.close())
    expect(receiver.watch(-1, 1)).toBe(false)
    expect(receiver.watch(1_000_000, 1)).toBe(false)
    expect(new AddOn().receiver(new Uint8Array(10), new Int32Array(4), () => {})).toBe(null)
    expect(new AddOn({ without: true }).receiver(new Uint8Array(65_536), new Int32Array(4), () => {})).toBe(null)
  })
})
