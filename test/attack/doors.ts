/** Everything that comes in through the listeners of one serving daemon, while good clients work. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startBystanders } from './bystanders.ts'
import { startDaemon } from './command.ts'
import { kafkaBatchRows } from './kafka-batches.ts'
import { kafkaFrameRows } from './kafka-frames.ts'
import { kafkaLoadRows, lingering } from './kafka-load.ts'
import { kafkaNameRows } from './kafka-names.ts'
import { kafkaRepeatRows } from './kafka-repeats.ts'
import { KafkaTalk } from './kafka-talk.ts'
import { mqttLoadRows } from './mqtt-load.ts'
import { mqttPacketRows } from './mqtt-packets.ts'
import { doorBounds, type DoorWorld } from './door-world.ts'
import type { Group, OpenGroup } from './row.ts'

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

export const doors: Group = {
  name: 'doors',
  async open(folder): Promise<OpenGroup> {
    const configFile = join(folder, 'headwater.yaml')
    writeFileSync(configFile, configuration)
    const daemon = await startDaemon({
      dataDir: join(folder, 'data'),
      configFile,
      logFile: join(folder, 'daemon.log'),
    })
    const { bystanders, close } = await startBystanders(daemon)
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
        ...kafkaRepeatRows(world),
        ...kafkaLoadRows(world),
        ...mqttPacketRows(world),
        ...mqttLoadRows(world),
        ...lingeringRows,
        last,
      ],
      check: () => bystanders.check(),
      close,
    }
  },
}
