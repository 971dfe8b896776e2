/** A directory that `kafka-storage format` has made and nobody has opened: Headwater serves it, then Apache Kafka. */
import { strict as assert } from 'node:assert'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apacheKafkaMissing, freePort, kafkaTool, startApacheKafka } from '../apache-kafka.ts'
import { type InteropCase, lines, output } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { startHeadwater } from '../headwater.ts'
import { headwater } from '../own-command.ts'

const complaint =
  /\b(WARN|ERROR|FATAL)\b.*(corrupt|recover|truncat|stray|mismatch|invalid|inconsistent|bootstrap|format)/i
const records = 50
const featureCommand = 'org.apache.kafka.tools.FeatureCommand'

/** Features and a credential that only the formatting has given. */
async function checkFormatting(bootstrap: string): Promise<void> {
  const at = ['--bootstrap-server', bootstrap]
  const features = await kafkaTool(featureCommand, [...at, 'describe'])
  assert.match(
    features.stdout,
    /metadata\.version\b.*FinalizedVersionLevel: 4\.3-IV0/,
    features.stdout + features.stderr,
  )
  const users = await kafkaTool('kafka.admin.ConfigCommand', [...at, '--entity-type', 'users', '--describe'])
  assert.match(users.stdout, /user-principal 'plant' are SCRAM-SHA-256=iterations=4096/, users.stdout + users.stderr)
}

async function readAll(bootstrap: string): Promise<string[]> {
  return lines(await output('kcat', ['-C', '-b', bootstrap, '-t', 'readings', '-q', '-e', '-o', 'beginning']))
}

export const formattedByKafka: InteropCase = {
  name: 'a directory that kafka-storage has formatted is served with its features and users, and goes back to Apache Kafka',
  missing: () => apacheKafkaMissing() ?? hasPrograms('kcat'),
  async run(folder) {
    const dataDir = join(folder, 'data')
    const logDir = join(dataDir, 'log')
    mkdirSync(logDir, { recursive: true })
    const port = await freePort()
    const controllerPort = await freePort()
    const properties = join(folder, 'format.properties')
    const listeners = `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`
    writeFileSync(
      properties,
      [
        ...['process.roles=broker,controller', 'node.id=1', `log.dirs=${logDir}`, `listeners=${listeners}`],
        ...['controller.listener.names=CONTROLLER', `controller.quorum.bootstrap.servers=127.0.0.1:${controllerPort}`],
        'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      ].join('\n'),
    )
    const user = 'SCRAM-SHA-256=[name=plant,password=secret-of-plant]'
    const format = ['format', '-t', 'AbCdEfGhSUaNh1X5OejQ2w', '-c', properties, '--standalone', '--add-scram', user]
    const formatted = await kafkaTool('kafka.tools.StorageTool', format)
    assert.equal(formatted.code, 0, formatted.stdout + formatted.stderr)
    const bootstrapFile = join(logDir, 'bootstrap.checkpoint')
    const written = readFileSync(bootstrapFile)

    const daemon = await startHeadwater({ dataDir, logFile: join(folder, 'headwater.log') })
    try {
      await checkFormatting(daemon.kafka)
      await headwater(['topics', 'create', 'readings', '--bootstrap-server', daemon.kafka])
      const stdin = `${Array.from({ length: records }, (_, at) => `r${at}`).join('\n')}\n`
      await output('kcat', ['-P', '-b', daemon.kafka, '-t', 'readings'], { stdin })
    } finally {
      assert.equal(await daemon.stop(), 0)
    }
    assert.deepEqual(readFileSync(bootstrapFile), written, 'what Kafka has written stays')

    const where = ['--kafka', `127.0.0.1:${port}`, '--controller', `127.0.0.1:${controllerPort}`]
    const serverProperties = await headwater(['export-kafka', '--data-dir', dataDir, ...where])
    const dir = join(folder, 'kafka')
    const kafka = await startApacheKafka({ dir, logDir, port, controllerPort, serverProperties })
    try {
      await checkFormatting(kafka.bootstrap)
      const described = await kafkaTool(featureCommand, ['--bootstrap-server', kafka.bootstrap, 'describe'])
      assert.match(described.stdout, /share\.version\b.*FinalizedVersionLevel: 1/)
      assert.equal((await readAll(kafka.bootstrap)).length, records)
    } finally {
      await kafka.stop()
    }
    const said = lines(readFileSync(kafka.logFile, 'utf8')).filter((line) => complaint.test(line))
    assert.deepEqual(said, [], 'what Apache Kafka says of the files')
  },
}
