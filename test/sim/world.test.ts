import { describe, expect, it } from 'vitest'
import { defineEvents } from '../../src/base/event-def.ts'
import type { Connection, ConnectionHandlers, Ports } from '../../src/base/ports.ts'
import { simWorld, type SimWorld } from './world.ts'

const text = (content: string): Uint8Array => new TextEncoder().encode(content)

const events = defineEvents({
  happened: { id: 'happened', level: 'info', sentence: '{what} happened.', fields: { what: 'string' } },
})

/** Collects what a connection tells. */
class Probe implements ConnectionHandlers {
  readonly pieces: Uint8Array[] = []
  bytes = 0
  drains = 0
  closed: { error: Error | null } | null = null

  onBytes(bytes: Uint8Array): void {
    this.pieces.push(new Uint8Array(bytes))
    this.bytes += bytes.length
  }

  onDrain(): void {
    this.drains++
  }

  onClose(error: Error | null): void {
    if (this.closed) throw new Error('closed twice')
    this.closed = { error }
  }

  content(): Buffer {
    return Buffer.concat(this.pieces)
  }
}

interface Pair {
  readonly near: Connection
  readonly nearProbe: Probe
  readonly far: Connection
  readonly farProbe: Probe
  readonly ports: Ports
}

/** A connection from `edge` to a listener of `central`. */
async function connected(world: SimWorld): Promise<Pair> {
  const central = world.host('central').boot()
  const ports = world.host('edge').boot()
  const farProbe = new Probe()
  let far: Connection | undefined
  const listening = central.net.listen('kafka', { host: '0.0.0.0', port: 9092 }, (connection) => {
    far = connection
    connection.start(farProbe)
  })
  await world.settle(listening)
  const near = await world.settle(ports.net.connect({ host: 'central', port: 9092 }, 5000))
  const nearProbe = new Probe()
  near.start(nearProbe)
  await world.run(() => far !== undefined)
  return { near, nearProbe, far: far as Connection, farProbe, ports }
}

function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 9)) & 0xff
  return bytes
}

/** A bit of everything, for traces. */
async function busyDay(seed: number): Promise<SimWorld> {
  const world = simWorld(seed)
  const { near, farProbe, ports } = await connected(world)
  near.send([pattern(300_000)])
  const ticks: number[] = []
  const tick = (): void => {
    ticks.push(ports.entropy.below(100))
    if (ticks.length < 20) ports.clock.schedule(ports.entropy.below(50), tick)
    void ports.disk.submit([{ kind: 'write', path: '/log', position: ticks.length * 10, chunks: [text('0123456789')] }])
    ports.clock.defer(() => ports.observer.event(events.happened, { what: `tick ${ticks.length}` }))
  }
  tick()
  await world.run(() => ticks.length === 20 && farProbe.bytes === 300_000)
  world.host('edge').powerCut()
  await world.runFor(1000)
  return world
}

describe('a world', () => {
  it('does the same for the same seed, to the last event, and something else for another', async () => {
    const hashes = []
    for (const seed of [1, 1, 2, 3]) {
      const world = await busyDay(seed)
      hashes.push(`${world.traceHash} ${world.eventCount} ${world.nowMs}`)
    }
    expect(hashes[0]).toBe(hashes[1])
    expect(new Set(hashes).size).toBe(3)
  })

  it('two days pass without a wait', async () => {
    const world = simWorld(1)
    const { clock } = world.host('edge').boot()
    const startWallMs = clock.wallMs()
    let ticks = 0
    const tick = (): void => {
      ticks++
      clock.schedule(60_000, tick)
    }
    tick()
    await world.runFor(2 * 86_400_000)
    expect(ticks).toBe(2 * 1440 + 1)
    expect(clock.wallMs() - startWallMs).toBe(2 * 86_400_000)
  })

  it('a condition that never holds fails with the seed and the time', async () => {
    const world = simWorld(77)
    await expect(world.run(() => false)).rejects.toThrow('seed 77 at 0.000 ms: nothing is left to happen')
    const { clock } = world.host('edge').boot()
    const again = (): void => void clock.schedule(1000, again)
    again()
    await expect(world.run(() => false, 5500)).rejects.toThrow('the condition did not hold within 5500 ms')
    clock.schedule(1, () => {
      throw new Error('a mistake')
    })
    await expect(world.run(() => false)).rejects.toThrow('timer threw')
  })
})

describe('a simulated clock', () => {
  it('runs tasks in time order, in the order of scheduling within one instant, and not when cancelled', async () => {
    const world = simWorld(5)
    const { clock } = world.host('edge').boot()
    const ran: string[] = []
    clock.schedule(20, () => ran.push('b'))
    clock.schedule(10, () => ran.push('a'))
    clock.schedule(20, () => ran.push('c'))
    clock.cancel(clock.schedule(15, () => ran.push('never')))
    await world.runFor(100)
    expect(ran).toEqual(['a', 'b', 'c'])
  })

  it('gathers a turn: deferred tasks run after the promises, each with its own', async () => {
    const world = simWorld(6)
    const { clock } = world.host('edge').boot()
    const ran: string[] = []
    clock.schedule(1, () => {
      clock.defer(() => {
        ran.push('first')
        void Promise.resolve().then(() => ran.push('of the first'))
      })
      clock.defer(() => ran.push('second'))
      void Promise.resolve().then(() => ran.push('promise'))
    })
    await world.runFor(10)
    expect(ran).toEqual(['promise', 'first', 'of the first', 'second'])
  })

  it('is wrong when the host’s is, but not behind our own newest stamp', async () => {
    const world = simWorld(7)
    const host = world.host('edge')
    const { clock } = host.boot()
    const now = clock.wallMs()
    host.wallOffsetMs = -10_000_000
    host.wallTrusted = false
    expect(clock.wallMs()).toBe(now - 10_000_000)
    expect(clock.wallTrusted()).toBe(false)
    clock.raiseWallFloor(now + 5)
    await world.runFor(1000)
    expect(clock.wallMs()).toBe(now + 1005)
  })

  it('a paused machine gets its events late, and a cancelled one not at all', async () => {
    const world = simWorld(8)
    const host = world.host('edge')
    const { clock } = host.boot()
    const ran: number[] = []
    clock.schedule(10, () => ran.push(world.nowMs))
    const cancelled = clock.schedule(20, () => ran.push(-1))
    host.pauseFor(500)
    await world.runFor(100)
    clock.cancel(cancelled)
    await world.runFor(900)
    expect(ran).toEqual([500])
  })
})

describe('a process that has ended', () => {
  it('hears of nothing any more: timers, deferred tasks, disk, connections', async () => {
    for (const how of ['kill', 'powerCut'] as const) {
      const world = simWorld(9)
      const { near, nearProbe, far, ports } = await connected(world)
      const heard: string[] = []
      ports.clock.schedule(5, () => heard.push('timer'))
      ports.clock.defer(() => heard.push('deferred'))
      void ports.disk.submit([{ kind: 'unlink', path: '/x' }]).then(() => heard.push('disk'))
      void ports.net.connect({ host: 'central', port: 9092 }, 100).then(() => heard.push('net'))
      far.send([text('late')])
      world.host('edge')[how]()
      near.send([text('from the grave')])
      await world.runFor(1000)
      expect(heard).toEqual([])
      expect(nearProbe.closed).toBe(null)
      expect(nearProbe.bytes).toBe(0)
    }
  })

  it('another one can be started, with other ports and the same disk', async () => {
    const world = simWorld(10)
    const host = world.host('edge')
    const first = host.boot()
    expect(() => host.boot()).toThrow('already runs')
    await world.settle(first.disk.submit([{ kind: 'writeFile', path: '/a', bytes: text('a') }]))
    host.kill()
    const second = host.boot()
    expect(await world.settle(second.disk.readFile('/a', 10))).toEqual(text('a'))
    expect(second.entropy.uint32()).not.toBe(first.entropy.uint32())
  })
})

describe('a simulated stream', () => {
  it('carries bytes in order, both ways, in pieces', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = simWorld(seed)
      const { near, nearProbe, far, farProbe } = await connected(world)
      const content = pattern(500_000)
      near.send([content.subarray(0, 1000), content.subarray(1000)])
      far.send([text('answer')])
      await world.run(() => farProbe.bytes === content.length && nearProbe.bytes === 6)
      expect(Buffer.compare(farProbe.content(), content)).toBe(0)
      expect(farProbe.pieces.length).toBeGreaterThan(5)
      expect(near.peer).toMatchObject({ listener: 'outbound', remotePort: 9092 })
      expect(far.peer).toMatchObject({ listener: 'kafka', remoteHost: world.host('edge').address })
    }
  })

  it('lands in the window that was asked for, and spoils the scratch memory', async () => {
    const world = simWorld(3)
    const { near, far, farProbe } = await connected(world)
    const frame = new Uint8Array(100_000)
    let filled = 0
    let kept: Uint8Array | null = null
    far.destroy()
    const second = await connectedAgain(world, {
      onBytes: (bytes) => {
        if (bytes.buffer !== frame.buffer) {
          frame.set(bytes, filled)
          kept = bytes
        }
        filled += bytes.length
      },
      onClose: () => {},
      window: () => (filled < frame.length ? frame.subarray(filled) : null),
    })
    second.send([pattern(100_000)])
    await world.run(() => filled === frame.length)
    expect(Buffer.compare(frame, pattern(100_000))).toBe(0)
    expect((kept as Uint8Array | null)?.every((byte) => byte === 0xdb)).toBe(true)
    await world.run(() => near.backlogBytes === 0)
    expect(farProbe.closed).toEqual({ error: null })
  })

  it('a receiver that pauses holds the sender up, and goes on where it was', async () => {
    const world = simWorld(4)
    const { near, nearProbe, far, farProbe } = await connected(world)
    far.pause()
    const content = pattern(1_000_000)
    expect(near.send([content])).toBe(false)
    await world.runFor(10_000)
    expect(farProbe.bytes).toBe(0)
    expect(near.backlogBytes).toBeGreaterThan(800_000)
    expect(nearProbe.drains).toBe(0)
    far.resume()
    await world.run(() => nearProbe.drains === 1)
    await world.run(() => farProbe.bytes === content.length)
    expect(Buffer.compare(farProbe.content(), content)).toBe(0)
  })

  it('end sends what is queued, and both sides close without an error', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = simWorld(seed)
      const { near, nearProbe, far, farProbe } = await connected(world)
      far.send([pattern(50_000)])
      near.send([pattern(200_000)])
      near.end()
      await world.run(() => nearProbe.closed !== null && farProbe.closed !== null)
      expect([nearProbe.closed, farProbe.closed]).toEqual([{ error: null }, { error: null }])
      expect([nearProbe.bytes, farProbe.bytes]).toEqual([50_000, 200_000])
    }
  })

  it('a cut link holds bytes back; they arrive in order when it is whole again', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = simWorld(seed)
      const { near, farProbe, ports } = await connected(world)
      const content = pattern(400_000)
      near.send([content])
      await world.run(() => farProbe.bytes > 1000)
      world.network.cut('edge', 'central')
      const refused = ports.net.connect({ host: 'central', port: 9092 }, 300)
      await expect(world.settle(refused)).rejects.toMatchObject({ name: 'NetError', code: 'ETIMEDOUT' })
      await world.runFor(30_000)
      expect(farProbe.bytes).toBeLessThan(content.length)
      world.network.heal('edge', 'central')
      await world.run(() => farProbe.bytes === content.length)
      expect(Buffer.compare(farProbe.content(), content)).toBe(0)
    }
  })

  it('a link cut for too long ends the sender’s connection with a time-out', async () => {
    const world = simWorld(5)
    const { near, nearProbe } = await connected(world)
    world.network.cut('edge', 'central')
    near.send([text('lost')])
    await world.run(() => nearProbe.closed !== null)
    expect(nearProbe.closed?.error).toMatchObject({ code: 'ETIMEDOUT' })
  })

  it('a killed process ends its connections; one that lost power ends them when it is back', async () => {
    const codes = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) {
      const world = simWorld(seed)
      const { nearProbe } = await connected(world)
      world.host('central').kill()
      await world.run(() => nearProbe.closed !== null)
      codes.add((nearProbe.closed?.error as { code?: string } | null)?.code ?? 'orderly')
    }
    expect([...codes].sort()).toEqual(['ECONNRESET', 'orderly'])
    const world = simWorld(30)
    const { near, nearProbe } = await connected(world)
    world.host('central').powerCut()
    near.send([text('hello?')])
    await world.runFor(60_000)
    expect(nearProbe.closed).toBe(null)
    world.host('central').boot()
    await world.run(() => nearProbe.closed !== null)
    expect(nearProbe.closed?.error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('resets, refusals and unknown names are told by their codes', async () => {
    const world = simWorld(6)
    const { nearProbe, farProbe, ports } = await connected(world)
    world.network.reset('edge', 'central')
    await world.run(() => nearProbe.closed !== null && farProbe.closed !== null)
    expect(nearProbe.closed?.error).toMatchObject({ code: 'ECONNRESET' })
    const connect = (host: string, port: number) => world.settle(ports.net.connect({ host, port }, 1000))
    await expect(connect('central', 1)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(connect('nowhere', 1)).rejects.toMatchObject({ code: 'ENOTFOUND' })
    const taken = ports.net.listen('a', { host: '0.0.0.0', port: 80 }, () => {})
    const listener = await world.settle(taken)
    const again = ports.net.listen('b', { host: '0.0.0.0', port: 80 }, () => {})
    await expect(world.settle(again)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await listener.close()
    await expect(connect('localhost', 80)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

/** One more connection to `central`, whose side gets these handlers. */
async function connectedAgain(world: SimWorld, handlers: ConnectionHandlers): Promise<Connection> {
  const host = world.host('third')
  const ports = host.boot()
  const listening = ports.net.listen('kafka', { host: '0.0.0.0', port: 9092 }, (connection) =>
    connection.start(handlers),
  )
  await world.settle(listening)
  const near = await world.settle(ports.net.connect({ host: 'third', port: 9092 }, 5000))
  near.start(new Probe())
  return near
}
