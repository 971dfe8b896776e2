/** `$SYS` beside Mosquitto's own: what a dashboard for Mosquitto reads is there, in its form. */
import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { type InteropCase, lines, output, program, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { freePort, startHeadwater } from '../headwater.ts'

/** Memory of the process: other figures here, in the metrics. */
const notOurs = /^\$SYS\/broker\/heap\//

/** What `$SYS/#` says after the same messages. */
async function figuresOf(host: string, port: string): Promise<Map<string, string>> {
  const place = ['-h', host, '-p', port, '-V', 'mqttv5']
  for (const number of ['1', '2', '3']) {
    await output('mosquitto_pub', [...place, '-t', `plant/${number}`, '-m', 'value', '-q', '1', '-r'])
  }
  // Mosquitto makes most of them at the end of its interval.
  const { stdout } = await program('mosquitto_sub', [...place, '-t', '$SYS/#', '-W', '3', '-F', '%t=%p'])
  return new Map(lines(stdout).map((line) => line.split('=') as [string, string]))
}

export const mqttSys: InteropCase = {
  name: 'every $SYS topic that Mosquitto has is there, in the form of its own',
  missing: () => hasPrograms('mosquitto', 'mosquitto_pub', 'mosquitto_sub'),
  async run(folder) {
    const port = await freePort()
    const configFile = `${folder}/mosquitto.conf`
    writeFileSync(configFile, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nsys_interval 1\n`)
    const environment = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` }
    const mosquitto = spawn('mosquitto', ['-c', configFile], { stdio: 'ignore', env: environment })
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    try {
      await until(() => isOpen(port), 10_000, 'Mosquitto listens')
      const [host = '', ours = ''] = daemon.mqtt.split(':')
      const [theirs, figures] = [await figuresOf('127.0.0.1', String(port)), await figuresOf(host, ours)]
      const names = [...theirs.keys()].filter((name) => !notOurs.test(name))
      assert.ok(names.length > 40, `Mosquitto told ${names.length} topics`)
      assert.deepEqual(
        names.filter((name) => !figures.has(name)),
        [],
      )
      const form = (text: string | undefined): string => String(text).replaceAll(/\d+/g, '0')
      const same = names.filter((name) => !name.endsWith('/version'))
      assert.deepEqual(
        same.map((name) => `${name} ${form(figures.get(name))}`),
        same.map((name) => `${name} ${form(theirs.get(name))}`),
      )
      assert.equal(figures.get('$SYS/broker/publish/messages/received'), '3')
      assert.equal(figures.get('$SYS/broker/retained messages/count'), '3')
      assert.ok(Number(figures.get('$SYS/broker/load/connections/1min')) > 2)
    } finally {
      await daemon.stop()
      mosquitto.kill('SIGTERM')
      if (mosquitto.exitCode === null) await once(mosquitto, 'exit')
    }
  },
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const [isThere] = await Promise.race([
    once(socket, 'connect').then(() => [true]),
    once(socket, 'error').then(() => [false]),
  ])
  socket.destroy()
  return isThere === true
}
