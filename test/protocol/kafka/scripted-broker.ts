/** A broker in the simulated world that answers what a test tells it to, byte for byte. */
import type { Connection } from '../../../src/base/ports.ts'
import { KafkaClientConnection } from '../../../src/protocol/kafka/client-connection.ts'
import { FrameAssembler } from '../../../src/protocol/kafka/frame.ts'
import type { SimHost } from '../../sim/host.ts'
import type { SimWorld } from '../../sim/world.ts'

export interface SeenRequest {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly frame: Uint8Array
  /** Answers with a body; the correlation id goes before it. */
  answer(bodyHex: string): void
  /** Sends bytes as they are. */
  raw(hex: string): void
  readonly connection: Connection
}

/** Listens on port 9092 of a new host `central`. */
export async function scriptedBroker(world: SimWorld, onRequest: (request: SeenRequest) => void): Promise<SimHost> {
  const host = world.host('central')
  const { net } = host.boot()
  const listening = net.listen('kafka', { host: '0.0.0.0', port: 9092 }, (connection) => {
    const raw = (hex: string): void => void connection.send([Buffer.from(hex.replaceAll(' ', ''), 'hex')])
    const assembler = new FrameAssembler({
      frameBytesMax: 1_000_000,
      onOversize: () => connection.destroy(),
      onFrame: (frame) => {
        const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
        const correlationId = view.getInt32(4)
        const answer = (bodyHex: string): void => {
          const body = Buffer.from(bodyHex.replaceAll(' ', ''), 'hex')
          const head = Buffer.alloc(8)
          head.writeInt32BE(body.length + 4, 0)
          head.writeInt32BE(correlationId, 4)
          connection.send([head, body])
        }
        onRequest({
          apiKey: view.getInt16(0),
          apiVersion: view.getInt16(2),
          correlationId,
          frame,
          answer,
          raw,
          connection,
        })
      },
    })
    connection.start({
      onBytes: (bytes) => assembler.push(bytes),
      window: () => assembler.window(),
      onClose: () => undefined,
    })
  })
  await world.settle(listening)
  return host
}

/** A connection from a new host `edge`. */
export function openClient(world: SimWorld, requestTimeoutMs = 30_000): Promise<KafkaClientConnection> {
  const { net, clock } = world.host('edge').boot()
  return world.settle(
    KafkaClientConnection.open({
      net,
      clock,
      address: { host: 'central', port: 9092 },
      clientId: 'edge',
      connectTimeoutMs: 5000,
      requestTimeoutMs,
      frameBytesMax: 200_000,
    }),
  )
}
