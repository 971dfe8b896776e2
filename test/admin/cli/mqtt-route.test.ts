import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { headwater } from './headwater-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-route-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const config = join(folder, 'headwater.yaml')
writeFileSync(
  config,
  `
kafka: { num.partitions: 6 }
mqtt:
  sparkplug: { decodedTopic: sparkplug.json }
  routes:
    - { match: "other/#", topic: elsewhere }
    - { match: "sensors/{site}/{device}/#", topic: sensors, partitionBy: "{site}/{device}", headers: full }
    - { match: "pump/#", topic: commands }
  commandRoutes:
    - { name: pumps, kafkaTopic: commands, mqttTopic: "pump/{key}/{header.what}" }
`,
)
const route = (...args: string[]) => headwater(['mqtt', 'route', ...args, '--config', config])

describe('headwater mqtt route', () => {
  it('shows where a message goes, by the configuration alone', () => {
    const { status, stdout } = route('sensors/s1/d7/temp', '--client-id', 'press-1', '--user', 'press', '--qos', '2')
    expect(status).toBe(0)
    expect(stdout).toBe(`MQTT topic   sensors/s1/d7/temp
rule 1       other/#: level 1 is "sensors", not "other"
rule         2 of mqtt.routes, sensors/{site}/{device}/# (site=s1, device=d7)
Kafka topic  sensors
record key   sensors/s1/d7/temp
partition    2 of 6, by the hash of "s1/d7"
timestamp    when it is received (CreateTime), by the clock of this node
headers      full mqtt.client=press-1 mqtt.qos=2 mqtt.user=press mqtt.protocol=5.0
note         with an authorizer User:press needs WRITE on Topic:sensors
`)
  })

  it('says what is done for Sparkplug, and that no rule of the operator asks for it', () => {
    const { stdout } = route('spBv1.0/plant/NBIRTH/line1')
    const notes = stdout.split('\n').filter((line) => line.startsWith('note'))
    expect(stdout).toContain('by the hash of "plant/line1"')
    expect(notes.slice(0, 3)).toEqual([
      'note         rule 4 stands behind mqtt.routes for mqtt.sparkplug',
      'note         a birth: kept as $sparkplug/certificates/spBv1.0/plant/NBIRTH/line1, and in the Kafka topic sparkplug.certificates',
      'note         decoded: as JSON under $sparkplug/decoded/spBv1.0/plant/NBIRTH/line1, in partition 5 of 6 (by plant/line1) of the Kafka topic sparkplug.json',
    ])
  })

  it('tells which command routes may give messages of the topic', () => {
    const { stdout } = route('pump/7/left/set')
    expect(stdout).toContain(
      'commands     pumps: records of Kafka topic commands where key=7, header what=left/set come under it, by pump/{key}/{header.what}',
    )
    expect(stdout).toContain('commands is read by command route pumps: what comes in by MQTT is no command there')
  })

  it('as JSON says the same, for the number of partitions that is given', () => {
    const { stdout } = route('sensors/s1/d7/temp', '--partitions', '3', '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      rule: 2,
      stored: { kafkaTopic: 'sensors', partition: 2, partitions: 3 },
    })
  })

  it.each([
    [['$SYS/x'], 1, 'topics that begin with $ are not stored'],
    [['a/#'], 1, 'wildcard'],
    [['a', '--qos', '3'], 2, 'Allowed choices are 0, 1, 2'],
    [['a', '--partitions', '0'], 2, 'above 0'],
    [[], 2, 'missing required argument'],
  ])('of %j ends with status %i', (args, status, text) => {
    const outcome = route(...args)
    expect(outcome.status).toBe(status)
    expect(outcome.stdout + outcome.stderr).toContain(text)
  })
})
