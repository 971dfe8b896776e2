/** Apache Kafka's own tools on users and access control, as its documentation uses them. */
import { strict as assert } from 'node:assert'
import { writeFileSync } from 'node:fs'
import { apacheKafkaMissing, kafkaTool, type ToolResult } from '../apache-kafka.ts'
import type { InteropCase } from '../case.ts'
import { scramSettings, writeClientProperties } from '../client-properties.ts'
import { startHeadwater } from '../headwater.ts'

const tools = {
  acls: 'org.apache.kafka.tools.AclCommand',
  configs: 'kafka.admin.ConfigCommand',
  topics: 'org.apache.kafka.tools.TopicCommand',
  producer: 'org.apache.kafka.tools.ConsoleProducer',
  consumer: 'org.apache.kafka.tools.consumer.ConsoleConsumer',
} as const

async function tool(name: keyof typeof tools, args: readonly string[], stdin?: string): Promise<string> {
  const result = await raw(name, args, stdin)
  assert.equal(result.code, 0, `${name} ${args.join(' ')}\n${result.stdout}${result.stderr}`)
  return result.stdout
}

function raw(name: keyof typeof tools, args: readonly string[], stdin?: string): Promise<ToolResult> {
  return kafkaTool(tools[name], args, stdin === undefined ? {} : { stdin })
}

const authorizer = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'

export const securityTools: InteropCase = {
  name: "Kafka's own tools make users and access control entries, and its clients are held to them",
  missing: () => apacheKafkaMissing(),
  async run(folder) {
    const config = `${folder}/headwater.yaml`
    const first = await startHeadwater({ dataDir: `${folder}/data` })
    try {
      const user = (name: string) => [
        '--bootstrap-server',
        first.kafka,
        '--entity-type',
        'users',
        '--entity-name',
        name,
      ]
      for (const name of ['admin', 'writer', 'reader']) {
        const credential = `SCRAM-SHA-512=[iterations=8192,password=${name}-secret]`
        await tool('configs', [...user(name), '--alter', '--add-config', credential])
      }
      await tool('configs', [...user('reader'), '--alter', '--add-config', 'SCRAM-SHA-256=[password=reader-secret]'])
      assert.match(await tool('configs', [...user('reader'), '--describe']), /SCRAM-SHA-256=iterations=4096/)
      assert.match(await tool('configs', [...user('writer'), '--describe']), /SCRAM-SHA-512=iterations=8192/)
      await tool('configs', [...user('reader'), '--alter', '--delete-config', 'SCRAM-SHA-256'])
      assert.doesNotMatch(await tool('configs', [...user('reader'), '--describe']), /SCRAM-SHA-256/)
    } finally {
      await first.stop()
    }
    writeFileSync(
      config,
      `listeners: { kafka: [ { listen: "127.0.0.1:0", saslMechanisms: [SCRAM-SHA-512] } ] }
kafka: { authorizer.class.name: ${authorizer}, super.users: "User:admin", group.initial.rebalance.delay.ms: 0 }
`,
    )
    const daemon = await startHeadwater({ dataDir: `${folder}/data`, configFile: config, kafkaPort: null })
    try {
      await heldToEntries(folder, daemon.kafka)
    } finally {
      await daemon.stop()
    }
  },
}

async function heldToEntries(folder: string, bootstrap: string): Promise<void> {
  const as = (name: string, flag = '--command-config'): string[] => {
    const settings = scramSettings(name, `${name}-secret`, 'SCRAM-SHA-512')
    const path = writeClientProperties(`${folder}/${name}.properties`, settings)
    return ['--bootstrap-server', bootstrap, flag, path]
  }
  await tool('topics', [...as('admin'), '--create', '--topic', 'plant-1'])
  await tool('acls', [...as('admin'), '--add', '--allow-principal', 'User:writer', '--producer', '--topic', 'plant-1'])
  const consumer = ['--consumer', '--topic', 'plant-', '--group', 'g', '--resource-pattern-type', 'prefixed']
  await tool('acls', [...as('admin'), '--add', '--allow-principal', 'User:reader', ...consumer])
  const listed = await tool('acls', [...as('admin'), '--list'])
  assert.match(listed, /resourceType=TOPIC, name=plant-1, patternType=LITERAL/)
  assert.match(listed, /principal=User:writer, host=\*, operation=WRITE, permissionType=ALLOW/)
  assert.match(listed, /resourceType=TOPIC, name=plant-, patternType=PREFIXED/)
  const denied = await raw('acls', [...as('writer'), '--list'])
  assert.match(denied.stdout + denied.stderr, /ClusterAuthorizationException|not authorized/i)

  await tool('producer', [...as('writer', '--command-config'), '--topic', 'plant-1'], 'one\ntwo\n')
  const read = ['--topic', 'plant-1', '--group', 'g1', '--from-beginning', '--timeout-ms', '8000']
  const got = await raw('consumer', [...as('reader'), ...read, '--max-messages', '2'])
  assert.equal(got.stdout.trim(), 'one\ntwo', got.stderr)
  const forbidden = await raw('consumer', [...as('writer'), ...read])
  assert.match(forbidden.stdout + forbidden.stderr, /GroupAuthorizationException|Not authorized/i)
  assert.match(await tool('topics', [...as('reader'), '--list']), /^plant-1$/m)
  assert.doesNotMatch(await tool('topics', [...as('reader'), '--list']), /__consumer_offsets/)

  await tool('acls', [...as('admin'), '--remove', '--force', '--topic', 'plant-1'])
  assert.doesNotMatch(await tool('acls', [...as('admin'), '--list']), /patternType=LITERAL/)
}
