/** One MQTT connection of a simulated client, spoken through mqtt-packet: other people's encoder and decoder. */
import mqttPacket, { type Packet } from 'mqtt-packet'
import type { Connection, Timer } from '../../../src/base/ports.ts'
import { type Field, mqttAddress, silenceMs, TryAgain } from './field.ts'

export interface MqttLinkOptions {
  readonly clientId: string
  readonly level: 4 | 5
  /** Everything but CONNACK, PINGRESP and DISCONNECT, from the first packet on. */
  readonly onPacket: (packet: Packet, link: MqttLink) => void
}

/** The client asks this often whether anybody is there. */
const pingMs = 150

export class MqttLink {
  /** Which run of the daemon it speaks with. */
  readonly life: number
  /** Rejects with TryAgain when the connection has ended, in whatever way. */
  readonly ended: Promise<never>
  readonly #field: Field
  readonly #options: MqttLinkOptions
  readonly #connection: Connection
  readonly #accepted: Promise<boolean>
  #accept: (isPresent: boolean) => void = () => {}
  #fail: (error: Error) => void = () => {}
  #timer: Timer | null = null
  #isAccepted = false
  #hasEnded = false
  #lastHeardMs: number

  private constructor(field: Field, options: MqttLinkOptions, connection: Connection) {
    this.#field = field
    this.#options = options
    this.#connection = connection
    this.life = field.life()
    this.#lastHeardMs = field.world.nowMs
    this.#accepted = new Promise((resolve) => {
      this.#accept = resolve
    })
    this.ended = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.ended.catch(() => {})
    const parser = mqttPacket.parser({ protocolVersion: options.level })
    parser.on('packet', (packet) => this.#onPacket(packet))
    parser.on('error', (error) => this.#end(`unreadable: ${error.message}`))
    connection.start({
      onBytes: (bytes) => {
        this.#lastHeardMs = field.world.nowMs
        parser.parse(Buffer.from(bytes))
      },
      onClose: (error) => this.#end(error?.message ?? 'closed'),
    })
    this.#watch()
  }

  /** Connects with a kept session; answers after CONNACK. Rejects with NetError or TryAgain. */
  static async open(
    field: Field,
    options: MqttLinkOptions,
  ): Promise<{ readonly link: MqttLink; readonly isPresent: boolean }> {
    const connection = await field.ports.net.connect(mqttAddress, 100)
    const link = new MqttLink(field, options, connection)
    const { level: protocolVersion, clientId } = options
    const kept = protocolVersion === 5 ? { properties: { sessionExpiryInterval: 500_000 } } : {}
    const base = { cmd: 'connect', protocolId: 'MQTT', protocolVersion, clean: false, keepalive: 1, clientId }
    link.send({ ...base, ...kept })
    const isPresent = await Promise.race([link.#accepted, link.ended])
    return { link, isPresent }
  }

  send(packet: Record<string, unknown>): void {
    if (this.#hasEnded) return
    const options = { protocolVersion: this.#options.level }
    this.#connection.send([mqttPacket.generate(packet as unknown as Packet, options)])
  }

  destroy(): void {
    this.#end('closed by us')
  }

  #onPacket(packet: Packet): void {
    if (this.#hasEnded || packet.cmd === 'pingresp') return
    if (packet.cmd === 'disconnect') return this.#end('the server says good-bye')
    if (packet.cmd !== 'connack') return this.#options.onPacket(packet, this)
    const code = packet.reasonCode ?? packet.returnCode ?? -1
    if (code !== 0) return this.#end(`refused with ${code}`)
    this.#isAccepted = true
    this.#accept(packet.sessionPresent)
  }

  #watch(): void {
    this.#timer = this.#field.ports.clock.schedule(pingMs, () => {
      if (this.#field.world.nowMs - this.#lastHeardMs > silenceMs) return this.#end('silence')
      if (this.#isAccepted) this.send({ cmd: 'pingreq' })
      this.#watch()
    })
  }

  #end(reason: string): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    if (this.#timer !== null) this.#field.ports.clock.cancel(this.#timer)
    this.#connection.destroy()
    this.#fail(new TryAgain(`${this.#options.clientId}: ${reason}`))
  }
}
