/**
 * An MQTT subscriber with a kept session that subscribes once: whatever happens to the daemon, the session is there when it comes back; what it is given is in
 * the log, in the log's order, and nothing is missing.
 */
import type { Packet } from 'mqtt-packet'
import type { Prng } from '../prng.ts'
import { type Client, type Field, runSessions } from './field.ts'
import { type Dump, valueOf } from './history.ts'
import { MqttLink } from './mqtt-link.ts'

interface Delivered {
  readonly life: number
  readonly topic: string
  readonly value: string
  readonly isRepeated: boolean
}

export class MqttSubscriber implements Client {
  readonly name: string
  readonly isDone = true
  readonly #field: Field
  readonly #chance: Prng
  readonly #level: 4 | 5
  readonly #filter: string
  readonly #qos: 0 | 1
  readonly #delivered: Delivered[] = []
  readonly #values = new Set<string>()
  #isSubscribed = false
  #hasLink = false

  constructor(field: Field, name: string, filter: string) {
    this.#field = field
    this.name = name
    this.#chance = field.world.prng.fork(name)
    this.#filter = filter
    this.#qos = this.#chance.chance(0.8) ? 1 : 0
    this.#level = this.#chance.pick([4, 5])
  }

  start(): void {
    void runSessions(this.#field, this.name, this.#chance, () => this.#session())
  }

  /** It is connected and subscribed. */
  get isServed(): boolean {
    return this.#hasLink && this.#isSubscribed
  }

  /** Whether what comes from now on must reach it, across connections. */
  get isReliable(): boolean {
    return this.#qos === 1
  }

  has(value: string): boolean {
    return this.#values.has(value)
  }

  async #session(): Promise<boolean> {
    let suback: () => void = () => {}
    const granted = new Promise<void>((resolve) => {
      suback = resolve
    })
    const { link, isPresent } = await MqttLink.open(this.#field, {
      clientId: this.name,
      level: this.#level,
      onPacket: (packet, from) => {
        if (packet.cmd === 'suback') {
          // A subscription that could not be written down is refused: it is asked for again.
          this.#isSubscribed = Number(packet.granted[0]) < 0x80
          if (this.#isSubscribed) suback()
          else from.destroy()
        } else this.#take(from, packet)
      },
    })
    try {
      if (this.#isSubscribed && !isPresent) {
        this.#field.history.break(`${this.name}: its session is gone in run ${link.life}`)
      }
      if (!this.#isSubscribed) {
        link.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: this.#filter, qos: this.#qos }] })
        await Promise.race([granted, link.ended])
      }
      this.#hasLink = true
      return await link.ended
    } finally {
      this.#hasLink = false
      link.destroy()
    }
  }

  #take(link: MqttLink, packet: Packet): void {
    if (packet.cmd !== 'publish') return
    const value = valueOf(Buffer.from(packet.payload))
    this.#values.add(value)
    this.#delivered.push({ life: link.life, topic: packet.topic, value, isRepeated: packet.dup })
    if (packet.qos !== 1) return
    const acknowledge = (): void => link.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
    const delayMs = this.#chance.pick([0, 0, 3, 20])
    if (delayMs === 0) acknowledge()
    else this.#field.ports.clock.schedule(delayMs, acknowledge)
  }

  /** Everything it was given is in the log; within one run of the daemon and one topic in the log's order. */
  judge(dump: Dump): void {
    const logged = new Map<string, string[]>()
    for (const records of dump.values()) {
      for (const { key, value } of records) {
        const values = logged.get(key)
        if (values === undefined) logged.set(key, [value])
        else values.push(value)
      }
    }
    const next = new Map<string, number>()
    for (const { life, topic, value, isRepeated } of this.#delivered) {
      const values = logged.get(topic) ?? []
      if (!values.includes(value)) {
        this.#field.history.break(`${this.name} was given ${value} of ${topic}, which is not in the log`)
        continue
      }
      if (isRepeated) continue
      const key = `${life} ${topic}`
      const at = values.indexOf(value, next.get(key) ?? 0)
      if (at < 0) this.#field.history.break(`${this.name} was given ${value} of ${topic} out of order in run ${life}`)
      else next.set(key, at + 1)
    }
  }
}
