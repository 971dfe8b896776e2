/** Everything that comes in through the listeners of one serving daemon, while good clients work. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RunningHeadwater, startHeadwater } from '../interop/headwater.ts'
import { Bystanders } from './bystanders.ts'
import { daemonCommand } from './command.ts'
import { kafkaBatchRows } from './kafka-batches.ts'
import { kafkaFrameRows } from './kafka-frames.ts'
import { kafkaLoadRows, lingering } from './kafka-load.ts'
import { kafkaNameRows } from './kafka-names.ts'
import { KafkaTalk } from './kafka-talk.ts'
import { mqttLoadRows } from './mqtt-load.ts'
import { mqttPacketRows } from './mqtt-packets.ts'
import type { Group, OpenGroup } from './row.ts'

/** What the rows of this group know of the daemon; the configuration below says the same. */
export const doorBounds = {
  kafkaFrameBytesMax: 9_437_184,
  kafkaConnectionsMax: 300,
  kafkaIdleMs: 5_000,
  mqttConnectDeadlineMs: 3_000,
  mqttPacketBytesMax: 65_536,
  mqttReceiveMaximum: 10,
} as const

const configuration = `
kafka:
  max.connections: ${doorBounds.kafkaConnectionsMax}
  connections.max.idle.ms: ${doorBounds.kafkaIdleMs}
  socket.request.max.bytes: ${doorBounds.kafkaFrameBytesMax}
  group.initial.rebalance.delay.ms: 0
  auto.create.topics.enable: true
mqtt:
  connectDeadline: ${doorBounds.mqttConnectDeadlineMs}ms
  packetMax: 64KiB
  receiveMaximum: ${doorBounds.mqttReceiveMaximum}
`

/** What every row gets. */
export interface DoorWorld {
  readonly daemon: RunningHeadwater
  /** A connection of its own for polite requests; close it. */
  talk(): Promise<KafkaTalk>
}

export const doors: Group = {
  name: 'doors',
  async open(folder): Promise<OpenGroup> {
    const configFile = join(folder, 'headwater.yaml')
    writeFileSync(configFile, configuration)
    const daemon = await startHeadwater({
      dataDir: join(folder, 'data'),
      configFile,
      logFile: join(folder, 'daemon.log'),
      ...daemonCommand(),
    })
    const bystanders = new Bystanders(daemon)
    const stop = async (): Promise<void> => {
      await bystanders.stop()
      await daemon.stop()
    }
    await bystanders.start().catch(async (error: unknown) => {
      await stop()
      throw error
    })
    const world: DoorWorld = { daemon, talk: () => KafkaTalk.connect(daemon.kafka) }
    const lingeringRows = await lingering(world)
    const last = {
      name: 'everything that was acknowledged to the good clients is there, where it was promised',
      run: async () => console.log(`  ${await bystanders.finish()}`),
    }
    return {
      rows: [
        ...kafkaFrameRows(world),
        ...kafkaBatchRows(world),
        ...kafkaNameRows(world),
        ...kafkaLoadRows(world),
        ...mqttPacketRows(world),
        ...mqttLoadRows(world),
        ...lingeringRows,
        last,
      ],
      check: () => bystanders.check(),
      close: stop,
    }
  },
}
