/**
 * An MQTT publisher that keeps its own state: what is not finished is said again on every new connection, in its order, with DUP.
 * Acknowledgements must come in the order of what was sent on the connection.
 */
import type { Packet } from 'mqtt-packet'
import type { Prng } from '../prng.ts'
import { type Client, type Field, mqttTopic, pause, runSessions } from './field.ts'
import { MqttLink } from './mqtt-link.ts'

interface Message {
  readonly value: string
  readonly topic: string
  readonly qos: 1 | 2
  readonly length: number
  packetId: number
  /** `publish` until PUBACK or PUBREC, then, at QoS 2, `release` until PUBCOMP. */
  phase: 'publish' | 'release'
  wasSent: boolean
}

const topicsEach = 2
const packetIdMax = 40

export class MqttPublisher implements Client {
  readonly name: string
  /** Values that were acknowledged to the end. */
  readonly finished: string[] = []
  readonly #field: Field
  readonly #chance: Prng
  readonly #level: 4 | 5
  readonly #qosMix: readonly (0 | 1 | 2)[]
  readonly #window: number
  readonly #paceMs: number
  /** In the order of their first sending. */
  readonly #messages: Message[] = []
  readonly #counters = new Array<number>(topicsEach).fill(0)
  /** What is due on this connection, oldest first. */
  #due: string[] = []
  #lastPacketId = 0
  #link: MqttLink | null = null
  #pumpIsScheduled = false
  /** Messages that must still be begun although the run is finishing. */
  #more = 0

  constructor(field: Field, name: string, qosMix: readonly (0 | 1 | 2)[]) {
    this.#field = field
    this.name = name
    this.#chance = field.world.prng.fork(name)
    this.#qosMix = qosMix
    this.#level = this.#chance.pick([4, 5])
    this.#window = this.#chance.pick([1, 4, 20])
    this.#paceMs = this.#chance.pick([1, 4, 10])
  }

  get isDone(): boolean {
    return this.#field.isFinishing && this.#messages.length === 0 && this.#more === 0
  }

  start(): void {
    void runSessions(this.#field, this.name, this.#chance, () => this.#session())
  }

  /** Publishes this many more although the run is finishing; `isDone` waits for them. */
  publishMore(count: number): void {
    this.#more += count
    this.#pumpSoon()
  }

  async #session(): Promise<boolean> {
    const { link } = await MqttLink.open(this.#field, {
      clientId: this.name,
      level: this.#level,
      onPacket: (packet) => this.#onPacket(packet),
    })
    this.#link = link
    this.#due = []
    for (const message of this.#messages) this.#say(message)
    this.#pumpSoon()
    try {
      return await link.ended
    } finally {
      this.#link = null
    }
  }

  #say(message: Message): void {
    const { topic, qos, packetId, value, length, phase } = message
    const cmd = phase === 'publish' ? 'publish' : 'pubrel'
    if (phase === 'publish') {
      const payload = length > value.length ? `${value} `.padEnd(length, 'y') : value
      const publish = { cmd, topic, payload, qos, messageId: packetId, dup: message.wasSent, retain: false }
      this.#due.push(`${qos === 1 ? 'puback' : 'pubrec'} ${packetId}`)
      message.wasSent = true
      this.#link?.send(publish)
    } else {
      this.#due.push(`pubcomp ${packetId}`)
      this.#link?.send({ cmd, qos: 1, messageId: packetId })
    }
  }

  #pumpSoon(): void {
    if (this.#pumpIsScheduled) return
    this.#pumpIsScheduled = true
    this.#field.ports.clock.schedule(this.#chance.real(0, this.#paceMs), () => {
      this.#pumpIsScheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#link === null || this.#messages.length >= this.#window) return
    if (this.#field.isFinishing) {
      if (this.#more === 0) return
      this.#more--
    }
    this.#begin()
    this.#pumpSoon()
  }

  #begin(): void {
    const stream = this.#chance.below(topicsEach)
    const counter = this.#counters[stream] as number
    this.#counters[stream] = counter + 1
    const topic = `${mqttTopic}/${this.name}/${stream}`
    const value = `${this.name}.${stream}-${counter}`
    const qos = this.#chance.pick(this.#qosMix)
    const length = this.#chance.pick([0, 0, 100, 2000])
    if (qos === 0) {
      this.#field.history.send(value, 'at-most-once')
      this.#link?.send({ cmd: 'publish', topic, payload: value, qos, dup: false, retain: false })
      return
    }
    this.#field.history.send(value, qos === 1 ? 'at-least-once' : 'exactly-once')
    const packetId = this.#freePacketId()
    const message: Message = { value, topic, qos, length, packetId, phase: 'publish', wasSent: false }
    this.#messages.push(message)
    this.#say(message)
  }

  #freePacketId(): number {
    do this.#lastPacketId = (this.#lastPacketId % packetIdMax) + 1
    while (this.#messages.some(({ packetId }) => packetId === this.#lastPacketId))
    return this.#lastPacketId
  }

  #onPacket(packet: Packet): void {
    const { cmd } = packet
    if (cmd !== 'puback' && cmd !== 'pubrec' && cmd !== 'pubcomp') return
    const heard = `${cmd} ${packet.messageId}`
    const due = this.#due.shift()
    if (heard !== due) return this.#field.history.break(`${this.name}: ${heard} came, ${due ?? 'nothing'} was due`)
    const at = this.#messages.findIndex(({ packetId }) => packetId === packet.messageId)
    const message = this.#messages[at]
    if (message === undefined) return this.#field.history.break(`${this.name}: ${heard} of no message`)
    const reason = 'reasonCode' in packet ? (packet.reasonCode ?? 0) : 0
    if (reason >= 0x80 && cmd !== 'pubcomp') return this.#refused(message, at, reason)
    // [MQTT-4.3.3-9] A PUBCOMP that knows no such id ends the message as well.
    if (cmd !== 'pubcomp') this.#field.history.acknowledge(message.value)
    if (cmd === 'pubrec') {
      message.phase = 'release'
      this.#say(message)
    } else {
      this.#messages.splice(at, 1)
      this.finished.push(message.value)
    }
    this.#pumpSoon()
  }

  /** The server could not store it, or could not tell whether it has: it becomes a new message with another id. */
  #refused(message: Message, at: number, reason: number): void {
    this.#field.world.note(`${this.name}: ${message.value} is refused with ${reason}`)
    this.#field.history.fail(message.value)
    this.#messages.splice(at, 1)
    const again = { ...message, packetId: this.#freePacketId(), phase: 'publish', wasSent: false } as const
    this.#messages.push(again)
    const link = this.#link
    void pause(this.#field, 50).then(() => {
      if (this.#link === link && this.#messages.includes(again)) this.#say(again)
    })
  }
}
