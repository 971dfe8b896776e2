/** What the rows that go through the listeners share: the bounds of the daemon under attack, and the way to talk to it. */
import { figure } from './figures.ts'
import type { RunningHeadwater } from '../interop/headwater.ts'
import type { KafkaTalk } from './kafka-talk.ts'

/** What the rows of this group know of the daemon; the configuration below says the same. */
export const doorBounds = {
  kafkaFrameBytesMax: 9_437_184,
  kafkaConnectionsMax: figure(300, 1_500),
  kafkaIdleMs: 5_000,
  mqttConnectDeadlineMs: 3_000,
  mqttPacketBytesMax: 65_536,
  mqttReceiveMaximum: 10,
} as const

/** What every row gets. */
export interface DoorWorld {
  readonly daemon: RunningHeadwater
  /** A connection of its own for polite requests; close it. */
  talk(): Promise<KafkaTalk>
}
