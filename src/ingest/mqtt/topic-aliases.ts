/** Topic aliases on the way to one 5.0 client (3.3.2.3.4): the first topics get one, for as long as the connection lives. Pure. */
import { LateMap } from '../../base/late-map.ts'

export interface TopicAlias {
  readonly alias: number
  /** The client knows it: the topic itself need not be sent. */
  readonly isKnown: boolean
}

export class TopicAliases {
  private readonly aliasesMax: number
  private readonly known = new LateMap<string, number>()

  /** `aliasesMax` is at most the client's Topic Alias Maximum [MQTT-3.1.2-26]. */
  constructor(aliasesMax: number) {
    this.aliasesMax = aliasesMax
  }

  /** The alias to send the topic with, or null when there is none left. */
  of(topic: Uint8Array): TopicAlias | null {
    if (this.aliasesMax === 0) return null
    const alias = this.known.get(nameOf(topic))
    if (alias !== undefined) return { alias, isKnown: true }
    return this.known.size < this.aliasesMax ? { alias: this.known.size + 1, isKnown: false } : null
  }

  /** A packet with the topic and the alias that `of` gave leaves: from now on the client knows it. */
  keep(topic: Uint8Array): void {
    if (this.known.size < this.aliasesMax && !this.known.has(nameOf(topic))) {
      this.known.set(nameOf(topic), this.known.size + 1)
    }
  }
}

function nameOf(topic: Uint8Array): string {
  return Buffer.from(topic.buffer, topic.byteOffset, topic.length).toString('latin1')
}
