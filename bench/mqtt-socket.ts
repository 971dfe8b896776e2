/** A bare MQTT 3.1.1 client on a socket: packets made beforehand go out in large pieces, answers are counted, so that it costs less than any server. */
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { writeVariableByteInteger, variableByteIntegerSize } from '../src/protocol/mqtt/packet-types.ts'

export function connectPacket(clientId: string, keepAliveSeconds = 0): Buffer {
  const id = Buffer.from(clientId)
  const fixed = [
    0x10,
    12 + id.length,
    0,
    4,
    ...Buffer.from('MQTT'),
    4,
    2,
    keepAliveSeconds >> 8,
    keepAliveSeconds & 255,
  ]
  return Buffer.concat([Buffer.from([...fixed, id.length >> 8, id.length & 255]), id])
}

export function publishPacket(
  topic: string,
  payload: Uint8Array,
  options: { readonly packetId: number; readonly retain?: boolean },
): Buffer {
  const name = Buffer.from(topic)
  const remaining = 4 + name.length + payload.length
  const packet = Buffer.alloc(1 + variableByteIntegerSize(remaining) + remaining)
  packet[0] = 0x32 | (options.retain === true ? 1 : 0)
  let at = writeVariableByteInteger(packet, 1, remaining)
  at = packet.writeUInt16BE(name.length, at)
  packet.set(name, at)
  at = packet.writeUInt16BE(options.packetId, at + name.length)
  packet.set(payload, at)
  return packet
}

/** Sends pieces that hold so many PUBLISHes of QoS 1 each, the next one when all of the one before are acknowledged. */
export class MqttSocket {
  readonly #stream: Duplex
  #wanted = 0
  #received = 0
  #resolve: () => void = () => {}
  #reject: (error: Error) => void = () => {}

  static async open(host: string, port: number, clientId: string): Promise<MqttSocket> {
    const socket: Socket = connect(port, host)
    socket.setNoDelay(true)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return MqttSocket.over(socket, clientId)
  }

  /** CONNECT over a stream that is open. */
  static async over(stream: Duplex, clientId: string): Promise<MqttSocket> {
    const client = new MqttSocket(stream)
    await client.send(connectPacket(clientId), 4)
    return client
  }

  private constructor(stream: Duplex) {
    this.#stream = stream
    stream.on('data', (bytes: Buffer) => {
      this.#received += bytes.length
      if (this.#received >= this.#wanted) this.#resolve()
    })
    stream.on('error', (error) => this.#reject(error))
    stream.on('close', () => this.#reject(new Error('the server closed the connection')))
  }

  /** Resolves when that many bytes of answers have come: CONNACK and each PUBACK have four. */
  send(bytes: Uint8Array, answerBytes: number): Promise<void> {
    this.#received = 0
    this.#wanted = answerBytes
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#stream.write(bytes)
    })
  }

  close(): void {
    this.#reject = () => {}
    this.#stream.destroy()
  }
}
