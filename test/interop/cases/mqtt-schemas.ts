/** A JSON Schema in front of a Kafka topic, met by clients that are not ours. */
import { strict as assert } from 'node:assert'
import { writeFileSync } from 'node:fs'
import { type InteropCase, lines, output, program } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { startHeadwater } from '../headwater.ts'
import { tryHeadwater } from '../own-command.ts'
import { foreignPython, pythonMissing } from '../python.ts'

const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['temp'],
  properties: { temp: { type: 'number' }, unit: { pattern: '^[CF]$' } },
}

export const mqttSchemas: InteropCase = {
  name: 'a JSON Schema refuses what mosquitto_pub and paho send, with 0x99 and the path, and a schema that is none refuses the start',
  missing: () => hasPrograms('mosquitto_pub', 'kcat') ?? pythonMissing(),
  async run(folder) {
    const configFile = `${folder}/headwater.yaml`
    const schemaFile = `${folder}/plant.json`
    writeFileSync(configFile, `mqtt: { routes: [ { match: "plant/#", topic: plant, schema: "${schemaFile}" } ] }\n`)
    writeFileSync(schemaFile, JSON.stringify({ ...schema, properties: { unit: { pattern: '(a)\\1' } } }))
    const refused = await tryHeadwater(['start', '--config', configFile, '--data-dir', `${folder}/other`])
    assert.notEqual(refused.code, 0)
    assert.match(refused.stdout + refused.stderr, /the schema .*plant\.json of MQTT route 1 .* has no linear time/)

    writeFileSync(schemaFile, JSON.stringify(schema))
    const daemon = await startHeadwater({ dataDir: `${folder}/data`, configFile })
    try {
      const [host = '', port = ''] = daemon.mqtt.split(':')
      const publish = async (payload: string): Promise<string> => {
        const where = ['-h', host, '-p', port, '-V', 'mqttv5', '-q', '1', '-t', 'plant/t', '-d']
        const { stdout, stderr } = await program('mosquitto_pub', [...where, '-m', payload])
        return stdout + stderr
      }
      assert.match(await publish('{"temp":21}'), /PUBACK \(Mid: 1, RC:0\)/)
      assert.match(await publish('{"temp":"warm"}'), /PUBACK \(Mid: 1, RC:153\)/)
      assert.match(await publish('warm'), /PUBACK \(Mid: 1, RC:153\)/)
      const python = foreignPython()
      if (python.path === null) throw new Error(python.why)
      const said = await output(python.path, [`${import.meta.dirname}/../programs/paho-schema.py`, host, port])
      assert.deepEqual(lines(said), ['0 none', '153 /unit must match pattern "^[CF]$"'])
      const stored = await output('kcat', ['-C', '-b', daemon.kafka, '-t', 'plant', '-e', '-q', '-f', '%s\n'])
      assert.deepEqual(lines(stored), ['{"temp":21}', '{"temp":22,"unit":"C"}'])
    } finally {
      await daemon.stop()
    }
  },
}
