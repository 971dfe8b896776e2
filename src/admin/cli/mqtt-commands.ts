/** The commands of MQTT, on commander. */
import { Option } from 'commander'
import { type CommandContext, jsonOption, positiveNumber } from './command-flags.ts'
import { exitStatus } from './exit-status.ts'
import { gatherConfiguration, type StartFlags, withConfigurationFlags } from './start-command.ts'

interface RouteFlags extends StartFlags {
  readonly clientId: string
  readonly user?: string
  readonly qos: '0' | '1' | '2'
  readonly retain?: true
  readonly protocol: '3.1' | '3.1.1' | '5.0'
  readonly partitions?: number
  readonly json?: true
}

const levels = { '3.1': 3, '3.1.1': 4, '5.0': 5 } as const

export function addMqttCommands({ program, host, finish }: CommandContext): void {
  const mqtt = program.command('mqtt').description('MQTT topics and what becomes of them')
  const route = mqtt
    .command('route')
    .description('where messages of an MQTT topic are stored, and why; exit status 1 when they are refused')
    .argument('<topic>', 'MQTT topic name')
    .option('--client-id <id>', 'client that publishes', 'CLIENT')
    .option('--user <name>', 'user that it authenticates as')
    .addOption(new Option('--qos <n>', 'quality of service').choices(['0', '1', '2']).default('1'))
    .option('--retain', 'the message is to be retained')
    .addOption(new Option('--protocol <version>', 'version of MQTT').choices(['3.1', '3.1.1', '5.0']).default('5.0'))
    .option('--partitions <n>', 'partitions of the Kafka topic (default: num.partitions)', positiveNumber)
    .option(...jsonOption)
  withConfigurationFlags(route).action(async (topic: string, flags: RouteFlags) => {
    const { clientId, user, qos, retain, protocol, partitions, json = false, ...rest } = flags
    const { printRoute } = await import('./mqtt-route-command.ts')
    const question = {
      topic,
      clientId,
      userName: user ?? null,
      level: levels[protocol],
      qos: Number(qos) as 0 | 1 | 2,
      retain: retain ?? false,
      partitions: partitions ?? null,
    }
    const explanation = await host.explainMqttRoute(await gatherConfiguration(rest), question)
    finish(printRoute(explanation, json) ? exitStatus.done : exitStatus.failed)
  })
}
