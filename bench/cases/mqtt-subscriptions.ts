/** What it takes to find who subscribes to a topic among 100,000 subscriptions of 10,000 sessions: in this process, without a network. */
import { SubscriptionIndex } from '../../src/ingest/mqtt/subscription-index.ts'
import { MqttSession } from '../../src/ingest/mqtt/session.ts'
import type { SessionBounds } from '../../src/ingest/mqtt/session-types.ts'
import type { BenchCase, Figure } from '../case.ts'

const sessions = 10_000
const subscriptionsEach = 10
const matches = 200_000
const microseconds = 1_000

const bounds: SessionBounds = {
  queuedMessagesMax: 0,
  queuedBytesMax: 0,
  queuedBytesTotalMax: 0,
  finishedIdsMax: 0,
  queuedBytesTotal: 0,
  held: { queued: 0, inflight: 0 },
  onDrop: () => {},
  recordOutgoing: () => false,
  onProgress: () => {},
  onRoom: () => {},
}

/** Filters of a plant: its own machine, the alarms of its line, one reading of all machines of a hall. */
function filtersOf(client: number): readonly string[] {
  const hall = client % 100
  const line = client % 1000
  return Array.from({ length: subscriptionsEach }, (_, at) => {
    if (at < 6) return `plant/hall-${hall}/line-${line}/machine-${client}/reading-${at}`
    if (at === 6) return `plant/hall-${hall}/line-${line}/machine-${client}/#`
    if (at === 7) return `plant/+/line-${line}/machine-${client}/alarm`
    if (at === 8) return `plant/hall-${hall}/+/machine-${client}/state/+`
    return `$share/workers-${hall}/plant/hall-${hall}/line-${line}/+/batch`
  })
}

export const mqttSubscriptions: BenchCase = {
  name: 'mqtt-subscriptions',
  missing: () => null,
  async run({ scale }) {
    const count = Math.max(100, Math.round(sessions * scale))
    const index = new SubscriptionIndex(count * subscriptionsEach, 64 * 1_048_576, () => {})
    const common = { qos: 1, noLocal: false, retainAsPublished: false, subscriptionId: 0, since: null } as const
    for (let client = 0; client < count; client++) {
      const session = new MqttSession(`client-${client}`, bounds)
      for (const filter of filtersOf(client)) index.set({ ...common, session, filter })
    }
    const topics = Array.from({ length: 1024 }, (_, at) => {
      const client = (at * 7919) % count
      const place = `plant/hall-${client % 100}/line-${client % 1000}/machine-${client}`
      const last = ['reading-3', 'alarm', 'state/door', 'batch'][at % 4]
      return `${place}/${last}`
    })
    const samples: number[] = []
    let found = 0
    for (let at = 0; at < matches; at++) {
      const topic = topics[at % topics.length] ?? ''
      const began = process.hrtime.bigint()
      index.match(topic, () => {
        found += 1
      })
      samples.push(Number(process.hrtime.bigint() - began) / microseconds)
    }
    if (found < matches) throw new Error(`only ${found} subscribers were found for ${matches} topics`)
    samples.sort((a, b) => a - b)
    const figure: Figure = {
      name: `match of a topic among ${index.size.toLocaleString('en')} subscriptions, p99`,
      unit: 'us',
      value: samples[Math.floor(samples.length * 0.99)] ?? 0,
      reach: { atMost: 20 },
      note: `median ${(samples[samples.length >> 1] ?? 0).toFixed(2)} us, ${(found / matches).toFixed(2)} subscribers a topic; nothing is remembered from one match to the next`,
    }
    return { figures: [figure] }
  },
}
