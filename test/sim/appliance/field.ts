/** What all clients of a run share: their host's ports, chance, the history, and the phase the run is in. */
import { NetError, type Ports } from '../../../src/base/ports.ts'
import { ConnectionLostError } from '../../../src/protocol/kafka/client-connection.ts'
import type { Prng } from '../prng.ts'
import type { SimWorld } from '../world.ts'
import type { History } from './history.ts'

export const kafkaAddress = { host: 'edge', port: 9092 }
export const mqttAddress = { host: 'edge', port: 1883 }
/** Kafka clients write here. */
export const kafkaTopic = 'k'
/** First level of the MQTT topics, and so the Kafka topic of what they publish. */
export const mqttTopic = 'm'
export const partitionCount = 2
/** A client that hears nothing for so long takes its connection for dead. */
export const silenceMs = 400

export interface Field {
  readonly world: SimWorld
  readonly ports: Ports
  readonly history: History
  /** Which run of the daemon serves at present. */
  life(): number
  /** True: finish what is under way, begin nothing. */
  isFinishing: boolean
}

/** What has gone wrong is the way things are under a nemesis: the client tries again. */
export class TryAgain extends Error {}

export interface Client {
  readonly name: string
  /** Everything that was begun is finished. */
  readonly isDone: boolean
}

export function pause(field: Field, durationMs: number): Promise<void> {
  return new Promise((resolve) => void field.ports.clock.schedule(durationMs, resolve))
}

/** Runs sessions one after the other until one answers true. Whatever is not a lost connection is a broken promise. */
export async function runSessions(
  field: Field,
  name: string,
  chance: Prng,
  session: () => Promise<boolean>,
): Promise<void> {
  for (;;) {
    try {
      if (await session()) return
    } catch (thrown) {
      const isUsual = thrown instanceof TryAgain || thrown instanceof NetError || thrown instanceof ConnectionLostError
      if (!isUsual) {
        field.history.break(`${name}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`)
        return
      }
      field.world.note(`${name}: ${thrown.message}`)
    }
    await pause(field, chance.between(2, 20))
  }
}
