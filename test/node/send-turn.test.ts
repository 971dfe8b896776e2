import { once } from 'node:events'
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Connection } from '../../src/base/ports.ts'
import { AddOn } from '../../src/node/add-on.ts'
import { NodeNet } from '../../src/node/net.ts'
import { testObserver } from './test-observer.ts'

/** Writes down what the kernel answered to each call, a list of counts or -errno. */
class WatchedAddOn extends AddOn {
  readonly calls: number[][] = []

  override sendEach(targets: Int32Array, count: number, bytes: Uint8Array): boolean {
    const isSent = super.sendEach(targets, count, bytes)
    this.calls.push([...targets.subarray(0, 2 * count)].filter((_, at) => at % 2 === 1))
    return isSent
  }
}

interface Pair {
  readonly connection: Connection
  readonly socket: net.Socket
  readonly received: Buffer[]
  isClosed: boolean
}

const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** So many connections with a foreign client each, which writes down what comes. */
async function connected(addOn: AddOn, count: number): Promise<Pair[]> {
  const port = new NodeNet({ observer: testObserver(), addOn })
  closers.push(() => port.close())
  const accepted = new Map<number, Connection>()
  const pairs: Pair[] = []
  const isClosed = new Set<Connection>()
  const listener = await port.listen('mqtt', { host: '127.0.0.1', port: 0 }, (connection) => {
    accepted.set(connection.peer.remotePort, connection)
    connection.start({ onBytes() {}, onClose: () => void isClosed.add(connection) })
  })
  const sockets = Array.from({ length: count }, () => net.connect(listener.port, '127.0.0.1'))
  for (const socket of sockets) {
    closers.push(() => void socket.destroy())
    if (socket.connecting) await once(socket, 'connect')
  }
  while (accepted.size < count) await new Promise(setImmediate)
  for (const socket of sockets) {
    const received: Buffer[] = []
    socket.on('data', (bytes) => received.push(bytes)).on('error', () => {})
    const connection = accepted.get(socket.localPort ?? 0) as Connection
    pairs.push({
      ...{ connection, socket, received },
      get isClosed() {
        return isClosed.has(connection)
      },
    })
  }
  return pairs
}

/** The test's own deadline ends a wait in vain. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}

const text = (content: string): Uint8Array => new TextEncoder().encode(content)
const textOf = ({ received }: Pair): string => Buffer.concat(received).toString()
const lengthOf = ({ received }: Pair): number => received.reduce((sum, bytes) => sum + bytes.length, 0)

describe('what connections send in one callback', () => {
  it('leaves in one call of the kernel for each, and comes to whom it is for', async () => {
    const addOn = new WatchedAddOn()
    const pairs = await connected(addOn, 300)
    for (const [index, { connection }] of pairs.entries()) connection.send([text(`${index}:`), text('one ')])
    for (const { connection } of pairs) connection.send([text('two')])
    expect(pairs[0]?.connection.backlogBytes).toBe(9)
    await Promise.resolve()
    for (const { connection } of pairs) connection.send([text('!')])
    await until(() => pairs.every((pair) => textOf(pair).endsWith('!')))
    expect(pairs.map(textOf)).toEqual(pairs.map((_, index) => `${index}:one two!`))
    expect(addOn.calls.map((counts) => counts.length)).toEqual([300])
    expect(pairs[0]?.connection.backlogBytes).toBe(0)
  })

  it('goes in several calls when it is more than the common memory holds', async () => {
    const addOn = new WatchedAddOn()
    const pairs = await connected(addOn, 20)
    const content = pairs.map((_, index) => Buffer.alloc(10_000, String.fromCharCode(97 + index)))
    for (const [index, { connection }] of pairs.entries()) connection.send([content[index] as Buffer])
    await until(() => pairs.every((pair) => lengthOf(pair) === 10_000))
    expect(pairs.map(textOf)).toEqual(content.map(String))
    expect(addOn.calls.map((counts) => counts.length)).toEqual([6, 6, 6, 2])
  })

  it('keeps its order where the kernel takes a part, nothing, or all again, and where much is sent between', async () => {
    const addOn = new WatchedAddOn()
    const [pair] = (await connected(addOn, 1)) as [Pair]
    const { connection, socket } = pair
    socket.pause()
    const sent: Uint8Array[] = []
    const send = (bytes: number): void => {
      const chunk = Buffer.alloc(bytes, String.fromCharCode(97 + (sent.length % 26)))
      sent.push(chunk)
      connection.send([chunk.subarray(0, 3), chunk.subarray(3)])
    }
    const hasBacklog = (): boolean => connection.backlogBytes > 0
    const fill = async (): Promise<void> => {
      do {
        send(15_999)
        await new Promise(setImmediate)
      } while (!hasBacklog() && sent.length < 10_000)
      expect(hasBacklog()).toBe(true)
    }
    await fill()
    for (const bytes of [10, 40_000, 7, 7, 20_000, 1]) send(bytes)
    socket.resume()
    await until(() => !hasBacklog())
    for (const bytes of [5, 30_000, 6]) send(bytes)
    await new Promise(setImmediate)
    send(8)
    await until(() => lengthOf(pair) === sent.reduce((sum, { length }) => sum + length, 0))
    expect(Buffer.compare(Buffer.concat(pair.received), Buffer.concat(sent))).toBe(0)
    // The kernel took less than it was given, and by the socket the rest came.
    expect(addOn.calls.flat().filter((taken) => taken !== 15_999).length).toBeGreaterThan(0)
  })

  it('is sent before the end of who ends, and not by who is destroyed', async () => {
    const addOn = new WatchedAddOn()
    const [ending, destroyed, other] = (await connected(addOn, 3)) as [Pair, Pair, Pair]
    ending.connection.send([text('last words')])
    ending.connection.end()
    destroyed.connection.send([text('never')])
    destroyed.connection.destroy()
    other.connection.send([text('other')])
    await Promise.all([once(ending.socket, 'end'), once(destroyed.socket, 'close')])
    await until(() => textOf(other) === 'other')
    expect([textOf(ending), textOf(destroyed)]).toEqual(['last words', ''])
    expect(addOn.calls).toEqual([[5]])
  })

  it('fails as a send by the socket does where the peer has gone, and the others get theirs', async () => {
    const [gone, other] = (await connected(new AddOn(), 2)) as [Pair, Pair]
    gone.socket.resetAndDestroy()
    while (!gone.isClosed) {
      gone.connection.send([text('x')])
      other.connection.send([text('y')])
      await new Promise(setImmediate)
    }
    other.connection.send([text('.')])
    await until(() => textOf(other).endsWith('.'))
    expect(textOf(other)).toMatch(/^y*\.$/)
  })
})
