/** `$log/TOPIC`: the log by MQTT, read by clients that are not ours. */
import { strict as assert } from 'node:assert'
import { connectAsync } from 'mqtt'
import { type InteropCase, lines, output, program, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { startHeadwater } from '../headwater.ts'
import { foreignPython, pythonMissing } from '../python.ts'

export const mqttLog: InteropCase = {
  name: 'mosquitto_sub, paho and mqtt.js read $log from an offset, a time and the beginning, and hear what comes after it',
  missing: () => hasPrograms('mosquitto_sub', 'mosquitto_pub', 'kcat') ?? pythonMissing(),
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    try {
      const [host = '', port = ''] = daemon.mqtt.split(':')
      const place = ['-h', host, '-p', port]
      const first = Array.from({ length: 50 }, (_each, at) => `m${at}`)
      await output('mosquitto_pub', [...place, '-q', '1', '-t', 'plant/t', '-l'], { stdin: `${first.join('\n')}\n` })
      await output('kcat', ['-P', '-b', daemon.kafka, '-t', 'plant', '-p', '0'], { stdin: 'keyless' })

      const old = await program('mosquitto_sub', [
        ...place,
        ...['-q', '1', '-t', '$log/plant/0?offset=earliest', '-C', '51', '-W', '20', '-v'],
      ])
      assert.deepEqual(lines(old.stdout), [...first.map((text) => `plant/t ${text}`), '$log/plant/0 keyless'])

      const timeOf = await output('kcat', ['-C', '-b', daemon.kafka, '-t', 'plant', '-o', '20', '-c', '1', '-f', '%T'])
      for (const [offset, expected] of [
        ['40', first.slice(40)],
        [`@${timeOf.trim()}`, null],
      ] as const) {
        const heard = await program('mosquitto_sub', [
          ...place,
          ...['-V', 'mqttv5', '-q', '1', '-t', '$log/plant/0', '-D', 'subscribe', 'user-property', 'offset', offset],
          ...['-C', '10', '-W', '20', '-F', '%p %P'],
        ])
        const found = lines(heard.stdout)
        assert.equal(found.length, 10, heard.stdout + heard.stderr)
        if (expected !== null)
          assert.deepEqual(
            found.map((line) => line.split(' ')[0]),
            expected,
          )
        const from = expected === null ? Number(/log\.offset:(\d+)/.exec(found[0] ?? '')?.[1]) : 40
        assert.ok(from <= 20 || expected !== null, `${from} is later than the record of that time`)
        assert.match(found[0] ?? '', new RegExp(`log\\.partition:0 log\\.offset:${from} log\\.timestamp:\\d{13}`))
      }

      const client = await connectAsync(`mqtt://${daemon.mqtt}`, { protocolVersion: 5 })
      const heard: string[] = []
      client.on('message', (topic, payload) => heard.push(`${topic} ${payload.toString()}`))
      const properties = { userProperties: { offset: '49' } }
      const granted = await client.subscribeAsync('$log/plant', { qos: 1, properties })
      assert.equal(granted[0]?.qos, 1)
      await until(() => heard.length === 2, 10_000, 'the last two records')
      await output('mosquitto_pub', [...place, '-q', '1', '-t', 'plant/t', '-m', 'live'])
      await until(() => heard.length === 3, 10_000, 'the live one')
      assert.deepEqual(heard, ['plant/t m49', '$log/plant/0 keyless', 'plant/t live'])
      await assert.rejects(
        client.subscribeAsync('$log/none', { qos: 1 }),
        /there is no Kafka topic none|Topic Filter invalid/i,
      )
      await client.endAsync()

      const python = foreignPython()
      if (python.path === null) throw new Error(python.why)
      const said = await output(python.path, [`${import.meta.dirname}/../programs/paho-log.py`, host, port])
      assert.deepEqual(lines(said), [
        'suback 1',
        ...[...first.slice(48), 'keyless', 'live'].map((text, at) => `${48 + at} ${text}`),
      ])
    } finally {
      await daemon.stop()
    }
  },
}
