/** Answers whose memory goes back to the system as they leave, over the sockets of the operating system: what a client reads is what was read for it. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { KafkaDoor } from '../../../src/ingest/kafka/door.ts'
import { kafkaDoorDefaults } from '../../../src/ingest/kafka/door-options.ts'
import type { HandlerEntry } from '../../../src/ingest/kafka/handler.ts'
import { NodeClock } from '../../../src/node/clock.ts'
import { NodeNet } from '../../../src/node/net.ts'
import { CertificateFolder, hasOpenssl } from '../../security/certificates.ts'
import { SimObserver } from '../../sim/sim-observer.ts'
import { frame, noFeatures } from './door-harness.ts'

const fetchKey = 1
const fetchBody = Buffer.concat([Buffer.alloc(4, 0xff), Buffer.alloc(17)])
const answersOfEach = 12
const clients = 4

const closers: (() => Promise<void>)[] = []
const folder = new CertificateFolder()
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})
afterAll(() => folder.remove())

/** Every answer has a size and a content of its own: the largest are beyond what a socket takes at once. */
function recordsOfAnswer(number: number): Uint8Array {
  return new Uint8Array(70_000 + ((number * 7_919) % 20) * 40_000).fill(1 + (number % 250))
}

async function openDoor(isEncrypted: boolean) {
  const made: Uint8Array[] = []
  const handler: HandlerEntry = [
    fetchKey,
    () => {
      const records = recordsOfAnswer(made.length)
      made.push(records)
      return { responses: [{ topic: 't', partitions: [{ partitionIndex: 0, records }] }] }
    },
  ]
  const observer = new SimObserver(
    () => 0,
    () => {},
  )
  const port = new NodeNet({ observer })
  const door = new KafkaDoor({
    net: port,
    clock: new NodeClock(),
    observer,
    handlers: new Map([handler]),
    options: { ...kafkaDoorDefaults, features: () => noFeatures },
  })
  const context = port.tlsContext('none')
  if (isEncrypted) {
    const { certificate, key } = folder.leaf('server', folder.authority('authority'))
    context.replace({ certificate: readFileSync(certificate), key: readFileSync(key), clientCa: null })
  }
  const listener = await door.listen({ host: '127.0.0.1', port: 0 }, isEncrypted ? { tls: context } : {})
  closers.push(() => port.close())
  return { port: listener.port, made }
}

/** Asks for all answers at once and takes what comes in fits and starts; ends after `answers` of them. */
async function read(socket: net.Socket, answers: number): Promise<readonly Buffer[]> {
  socket.write(Buffer.concat(Array.from({ length: answersOfEach }, (_, at) => frame(fetchKey, 4, at, fetchBody))))
  const take = async (length: number): Promise<Buffer> => {
    for (;;) {
      const bytes = socket.read(length) as Buffer | null
      if (bytes !== null) return bytes
      await once(socket, 'readable')
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const frames: Buffer[] = []
  while (frames.length < answers) frames.push(await take((await take(4)).readInt32BE()))
  return frames
}

/** Bytes of an answer in front of its records, which end it. */
const headBytes = 49

/** True when the records of an answer are those of one, from the first byte to the last. */
function isWhole(answer: Buffer): boolean {
  const records = answer.subarray(headBytes)
  return records.length === answer.readInt32BE(headBytes - 4) && records.every((byte) => byte === records[0])
}

describe.each([
  { name: 'plain', isEncrypted: false },
  { name: 'TLS', isEncrypted: true },
])('answers over $name sockets', ({ isEncrypted }) => {
  it.skipIf(isEncrypted && !hasOpenssl)(
    'reach slow clients whole, and leave no memory behind, also those of clients that go',
    async () => {
      const { port, made } = await openDoor(isEncrypted)
      const connect = async (): Promise<net.Socket> => {
        const socket = isEncrypted
          ? tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
          : net.connect({ host: '127.0.0.1', port })
        await once(socket, isEncrypted ? 'secureConnect' : 'connect')
        return socket
      }
      await Promise.all(
        Array.from({ length: clients }, async (_, at) => {
          const socket = await connect()
          const answers = at % 2 === 0 ? answersOfEach : 4
          expect((await read(socket, answers)).map(isWhole)).toEqual(Array.from({ length: answers }, () => true))
          socket.destroy()
          await once(socket, 'close')
        }),
      )
      expect(made.length).toBeGreaterThan((clients / 2) * answersOfEach)
      while (made.some(({ buffer }) => buffer.byteLength > 0)) await new Promise((resolve) => setImmediate(resolve))
    },
  )
})
