/** Where keys come from, on a simulated host: files, URLs that answer and do not, and what is kept for a start without a network. */
import { beforeAll, describe, expect, it } from 'vitest'
import { TokenKeyKeeper, type TokenKeyOptions } from '../../../src/security/tokens/token-key-keeper.ts'
import { tokenKeyUrlFault } from '../../../src/security/tokens/token-options.ts'
import { simWorld } from '../../sim/world.ts'
import { type IssuerKey, newKey, setOf, sign } from './issuer.ts'

const url = 'https://login.example.com/keys'
const cachePath = '/data/state/token-keys.json'
let first: IssuerKey
let second: IssuerKey
beforeAll(async () => {
  ;[first, second] = await Promise.all([newKey('first'), newKey('second')])
})

const minute = 60_000
const options: TokenKeyOptions = {
  url,
  ca: null,
  refreshMs: 60 * minute,
  backoffMs: 100,
  backoffMsMax: 10_000,
  cachePath,
}

/** A host whose process may be started again, and what it asked its network for. */
async function site() {
  const world = simWorld(11)
  const host = world.host('edge')
  const asked: number[] = []
  const events: string[] = []
  let keeper: TokenKeyKeeper | null = null
  let ports = host.boot()
  await world.settle(ports.disk.submit([{ kind: 'makeDirectory', path: '/data/state' }]))
  return {
    world,
    events,
    asked,
    get ports() {
      return ports
    },
    /** What the URL answers from now on; null = nothing. */
    serve: (set: Uint8Array | null) => {
      if (set === null) world.network.documents.delete(url)
      else world.network.documents.set(url, set)
    },
    start: async (change: Partial<TokenKeyOptions> = {}): Promise<TokenKeyKeeper> => {
      keeper?.stop()
      if (keeper !== null) {
        host.kill()
        ports = host.boot()
      }
      const running = new TokenKeyKeeper(
        { ...options, ...change },
        {
          ...ports,
          net: {
            fetchDocument: (request) => {
              asked.push(world.nowMs)
              return ports.net.fetchDocument(request)
            },
          },
          observer: { ...ports.observer, event: ({ id }) => void events.push(id), set: () => {} },
        },
      )
      keeper = running
      await world.settle(running.start())
      await world.runFor(50)
      return running
    },
    write: (path: string, text: Uint8Array | string) =>
      world.settle(
        ports.disk.submit([
          { kind: 'makeDirectory', path: path.slice(0, path.lastIndexOf('/')) },
          { kind: 'writeFile', path, bytes: typeof text === 'string' ? Buffer.from(text) : text },
        ]),
      ),
  }
}

const knows = async (keeper: TokenKeyKeeper, key: IssuerKey): Promise<boolean> =>
  (await keeper.keys?.verify(await sign(key)))?.kind === 'signed'

describe('keys of a URL', () => {
  it('are asked for at the start and once an hour, and a new set replaces the old one', async () => {
    const { world, serve, start, asked } = await site()
    serve(setOf(first))
    const keeper = await start()
    expect(await knows(keeper, first)).toBe(true)
    serve(setOf(second))
    await world.runFor(59 * minute)
    expect(asked).toHaveLength(1)
    await world.runFor(2 * minute)
    expect(asked).toHaveLength(2)
    expect(await knows(keeper, second)).toBe(true)
    expect(await knows(keeper, first)).toBe(false)
  })

  it('serve a start without a network, as they were last', async () => {
    const { serve, start, events } = await site()
    serve(setOf(first))
    await start()
    serve(setOf(second))
    await start()
    serve(null)
    events.splice(0)
    const keeper = await start()
    expect(await knows(keeper, second)).toBe(true)
    expect(events).toEqual(['token-keys-kept', 'token-keys-refused'])
  })

  it('are not there at a first start without a network, until it comes', async () => {
    const { world, serve, start } = await site()
    const keeper = await start()
    expect(keeper.keys).toBeNull()
    serve(setOf(first))
    await world.runFor(10_000)
    expect(await knows(keeper, first)).toBe(true)
  })

  it('are asked for ever more seldom while nobody answers, and that is told once', async () => {
    const { world, start, asked, events } = await site()
    await start()
    await world.runFor(10 * minute)
    expect(asked.length).toBeGreaterThan(60)
    expect(asked.length).toBeLessThan(75)
    expect(events).toEqual(['token-keys-refused'])
  })

  it('stay when what is answered cannot be used', async () => {
    const { world, serve, start, events } = await site()
    serve(setOf(first))
    const keeper = await start()
    serve(Buffer.from('<html>please log in</html>'))
    await world.runFor(61 * minute)
    expect(await knows(keeper, first)).toBe(true)
    expect(events).toEqual(['token-keys-loaded', 'token-keys-refused'])
    serve(setOf(first))
    await world.runFor(minute)
    expect(events.at(-1)).toBe('token-keys-loaded')
  })

  it('are asked for when a token names one that is not there, but not more often than every ten seconds', async () => {
    const { world, serve, start, asked } = await site()
    serve(setOf(first))
    const keeper = await start()
    await world.runFor(minute)
    serve(setOf(first, second))
    for (let times = 0; times < 100; times++) keeper.missed()
    await world.runFor(50)
    expect(asked).toHaveLength(2)
    expect(await knows(keeper, second)).toBe(true)
    for (let seconds = 0; seconds < 60; seconds++) {
      keeper.missed()
      await world.runFor(1000)
    }
    expect(asked.length).toBeLessThanOrEqual(8)
    // The hourly question has one timer still.
    const before = asked.length
    await world.runFor(61 * minute)
    expect(asked).toHaveLength(before + 1)
  })

  it('are written for the next start only when they have changed', async () => {
    const { world, serve, start, ports } = await site()
    serve(setOf(first))
    await start()
    await world.settle(ports.disk.submit([{ kind: 'unlink', path: cachePath }]))
    await world.runFor(180 * minute)
    expect(await world.settle(ports.disk.size(cachePath))).toBeNull()
  })

  it.each([
    ['of another URL', () => JSON.stringify({ url: `${url}/2`, set: Buffer.from(setOf(first)).toString() })],
    ['cut off', () => '{"url":"https://login'],
    ['of something else', () => '[]'],
    ['with a set that cannot be used', () => JSON.stringify({ url, set: '{"keys":[]}' })],
  ])('start without what is kept when that is %s', async (_, text) => {
    const { write, start } = await site()
    await write(cachePath, text())
    expect((await start()).keys).toBeNull()
  })

  it('stop being asked for when the appliance stops', async () => {
    const { world, start, asked } = await site()
    const keeper = await start()
    keeper.stop()
    await world.runFor(1000)
    const before = asked.length
    await world.runFor(10 * minute)
    expect(asked).toHaveLength(before)
  })
})

describe('keys of a file', () => {
  const file = { url: 'file:///etc/keys%20of/issuer.json' }
  it('are read again when the file changes, and a bad file changes nothing', async () => {
    const { world, write, start, events, asked } = await site()
    await write('/etc/keys of/issuer.json', setOf(first))
    const keeper = await start(file)
    expect(await knows(keeper, first)).toBe(true)
    await write('/etc/keys of/issuer.json', '{"keys":')
    await world.runFor(20_000)
    expect(await knows(keeper, first)).toBe(true)
    await write('/etc/keys of/issuer.json', setOf(second))
    await world.runFor(6_000)
    expect(await knows(keeper, second)).toBe(true)
    expect(events).toEqual(['token-keys-loaded', 'token-keys-refused', 'token-keys-loaded'])
    expect(asked).toEqual([])
  })

  it('keep the appliance from starting when there is none', async () => {
    const { start } = await site()
    await expect(start(file)).rejects.toMatchObject({ code: 'TOKEN_KEYS_UNUSABLE' })
  })
})

describe('a URL of keys', () => {
  it.each([
    'https://a/b',
    'https://a:8443/b?c',
    'file:///etc/keys.json',
    'http://127.0.0.1:80/k',
    'http://localhost/k',
    'http://[::1]/k',
  ])('%s is taken', (written) => expect(tokenKeyUrlFault(written)).toBeNull())
  it.each([
    'a',
    'http://login.example.com/k',
    'http://127.0.0.1.example.com/k',
    'http://169.254.169.254/latest',
    'file://host/etc/keys',
    'ftp://a/b',
    'data:application/json,{}',
    'https://user:secret@a/b',
    'javascript:1',
  ])('%s is refused', (written) => expect(tokenKeyUrlFault(written)).toEqual(expect.any(String)))
})
