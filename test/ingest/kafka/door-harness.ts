/** A Kafka door on one simulated host, and raw clients on another. */
import type { Connection, Ports } from '../../../src/base/ports.ts'
import { KafkaDoor } from '../../../src/ingest/kafka/door.ts'
import { type KafkaDoorOptions, kafkaDoorDefaults } from '../../../src/ingest/kafka/door-options.ts'
import type { HandlerEntry } from '../../../src/ingest/kafka/handler.ts'
import { ClientQuotas } from '../../../src/security/quotas/client-quotas.ts'
import { QuotaKeeper } from '../../../src/security/quotas/quota-keeper.ts'
import type { SimWorld } from '../../sim/world.ts'
import { simWorld } from '../../sim/world.ts'

export const noFeatures = { epoch: -1, supported: [], finalized: [] }

export interface DoorHarness {
  readonly world: SimWorld
  readonly server: Ports
  readonly door: KafkaDoor
  /** A new raw client. */
  readonly connect: () => Promise<RawClient>
}

type MakeHandlers = (server: Ports, world: SimWorld) => Promise<readonly HandlerEntry[]>

/** The door listens on port 9092 of the host `broker` (10.0.0.1). */
export async function openDoor(
  handlers: readonly HandlerEntry[] | MakeHandlers,
  options: Partial<KafkaDoorOptions> = {},
  advertise: { readonly host: string; readonly port: number } | null = null,
): Promise<DoorHarness> {
  const world = simWorld(7)
  const server = world.host('broker').boot()
  const client = world.host('client').boot()
  const door = new KafkaDoor({
    ...server,
    handlers: new Map(typeof handlers === 'function' ? await handlers(server, world) : handlers),
    options: { ...kafkaDoorDefaults, features: () => noFeatures, ...options },
  })
  await world.settle(door.listen({ host: '0.0.0.0', port: 9092 }, { advertise }))
  const connect = async (): Promise<RawClient> =>
    new RawClient(await world.settle(client.net.connect({ host: 'broker', port: 9092 }, 5_000)))
  return { world, server, door, connect }
}

/** A client that sends what it is told and keeps the frames that come. */
export class RawClient {
  readonly frames: Buffer[] = []
  /** Sizes of the pieces in which bytes came. */
  readonly pieces: number[] = []
  isClosed = false
  #rest: Buffer = Buffer.alloc(0)
  readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
    connection.start({
      onBytes: (bytes) => this.#received(bytes),
      onClose: () => {
        this.isClosed = true
      },
    })
  }

  send(...chunks: readonly Uint8Array[]): void {
    this.connection.send(chunks.map((chunk) => Uint8Array.from(chunk)))
  }

  /** Correlation ids of the answers, in the order in which they came. */
  get correlations(): readonly number[] {
    return this.frames.map((frame) => frame.readInt32BE(0))
  }

  #received(bytes: Uint8Array): void {
    this.pieces.push(bytes.length)
    this.#rest = Buffer.concat([this.#rest, bytes])
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readInt32BE(0)) {
      const end = 4 + this.#rest.readInt32BE(0)
      this.frames.push(Buffer.from(this.#rest.subarray(4, end)))
      this.#rest = this.#rest.subarray(end)
    }
  }
}

/** A frame made by hand: length, API key, version, correlation id, client id `t`, then the body. */
export function frame(
  apiKey: number,
  version: number,
  correlationId: number,
  body: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(15)
  head.writeInt32BE(11 + body.length, 0)
  head.writeInt16BE(apiKey, 4)
  head.writeInt16BE(version, 6)
  head.writeInt32BE(correlationId, 8)
  head.writeInt16BE(1, 12)
  head.write('t', 14)
  return Buffer.concat([head, body])
}

/** A string of the old encoding. */
export function text(value: string): Buffer {
  const bytes = Buffer.alloc(2 + Buffer.byteLength(value))
  bytes.writeInt16BE(Buffer.byteLength(value))
  bytes.write(value, 2)
  return bytes
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** The body of a Heartbeat, version 0. */
export function heartbeatBody(memberId: string): Buffer {
  return Buffer.concat([text('g'), int32(1), text(memberId)])
}

/** Holds nobody against anything. */
export function noQuotas(): QuotaKeeper {
  return new QuotaKeeper(new ClientQuotas(), { monotonicMs: () => 0 }, { samples: 11, sampleMs: 1_000 })
}
