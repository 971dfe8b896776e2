/** Quotas set and shown by Apache Kafka's own tool, and its producer and an MQTT client held to them. */
import { strict as assert } from 'node:assert'
import { apacheKafkaMissing, kafkaTool } from '../apache-kafka.ts'
import type { InteropCase } from '../case.ts'
import { startHeadwater } from '../headwater.ts'

const bytesPerSecond = 100_000
const records = 2_000
const recordBytes = 1_000

export const quotas: InteropCase = {
  name: 'quotas that kafka-configs sets bound producers, and are gone when it takes them back',
  missing: () => apacheKafkaMissing(),
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    try {
      const configs = async (...args: readonly string[]): Promise<string> => {
        const result = await kafkaTool('kafka.admin.ConfigCommand', ['--bootstrap-server', daemon.kafka, ...args])
        assert.equal(result.code, 0, result.stdout + result.stderr)
        return result.stdout
      }
      const ofAll = ['--entity-type', 'users', '--entity-default']
      const ofPump = [
        '--entity-type',
        'users',
        '--entity-name',
        'x y',
        '--entity-type',
        'clients',
        '--entity-name',
        'pump',
      ]
      await configs(...ofAll, '--alter', '--add-config', `producer_byte_rate=${bytesPerSecond},request_percentage=50.5`)
      await configs(...ofPump, '--alter', '--add-config', 'consumer_byte_rate=7')
      await configs(
        '--entity-type',
        'ips',
        '--entity-name',
        '10.0.0.7',
        '--alter',
        '--add-config',
        'connection_creation_rate=3',
      )
      assert.match(await configs(...ofAll, '--describe'), /producer_byte_rate=100000\.0/)
      assert.match(await configs(...ofPump, '--describe'), /consumer_byte_rate=7\.0/)
      assert.match(await configs('--entity-type', 'ips', '--describe'), /10\.0\.0\.7.*connection_creation_rate=3\.0/)

      const produce = async (): Promise<number> => {
        const startedAt = performance.now()
        const load = ['--num-records', String(records), '--record-size', String(recordBytes), '--throughput', '-1']
        const result = await kafkaTool('org.apache.kafka.tools.ProducerPerformance', [
          ...[
            '--topic',
            'quotas',
            ...load,
            '--producer-props',
            `bootstrap.servers=${daemon.kafka}`,
            'batch.size=16384',
          ],
        ])
        assert.equal(result.code, 0, result.stdout + result.stderr)
        return (performance.now() - startedAt) / 1000
      }
      // Ten seconds' worth may come at once, as in Apache Kafka; the rest comes at the bound.
      const beyond = (records * recordBytes) / bytesPerSecond - 10
      const held = await produce()
      assert.ok(held > beyond * 0.8, `${held} s for what takes ${beyond} s at the bound`)
      const metrics = await (await fetch(`http://${daemon.http}/metrics`)).text()
      assert.ok(Number(/^headwater_kafka_throttled_seconds_total (\S+)/m.exec(metrics)?.[1]) > 1)

      await configs(...ofAll, '--alter', '--delete-config', 'producer_byte_rate,request_percentage')
      assert.doesNotMatch(await configs(...ofAll, '--describe'), /producer_byte_rate/)
      await produce()
      const refused = await kafkaTool('kafka.admin.ConfigCommand', [
        ...['--bootstrap-server', daemon.kafka, ...ofAll, '--alter', '--add-config', 'controller_mutation_rate=1'],
      ])
      assert.match(refused.stdout + refused.stderr, /controller_mutation_rate is not bounded/)
    } finally {
      await daemon.stop()
    }
  },
}
