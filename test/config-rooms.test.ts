/** The schema's defaults are the rooms' own: a key that is left out changes nothing. */
import { describe, expect, it } from 'vitest'
import { readConfiguration } from '../src/config-reader.ts'
import { mirrorOptions, mqttDoorOptions } from '../src/config-rooms.ts'
import { mqttDoorDefaults } from '../src/ingest/mqtt/mqtt-options.ts'
import { defaultMirrorLimits } from '../src/mirror/mirror-options.ts'

async function configOf(text: string) {
  return readConfiguration({ file: { name: 'headwater.yaml', text }, flags: {}, environment: {} })
}

describe('options of the rooms', () => {
  it("are the rooms' defaults where the file is silent", async () => {
    const config = await configOf('mirrors: [ { name: central, bootstrapServers: [ "a:9092" ], topics: [ x ] } ]')
    expect(mqttDoorOptions(config.mqtt)).toEqual(mqttDoorDefaults)
    expect(config.mirrors.map(mirrorOptions)).toEqual([
      {
        name: 'central',
        bootstrapServers: [{ host: 'a', port: 9092 }],
        topics: ['x'],
        targetTopic: '{site}.{topic}',
        startFrom: 'earliest',
        untrustedTimestamps: 'restamp',
        security: { tls: null, sasl: null },
        limits: defaultMirrorLimits,
      },
    ])
  })

  it("carry what the file says, in the rooms' units", async () => {
    const config = await configOf(`
mqtt:
  packetMax: 1MiB
  keepAliveMax: 5min
  routes: [ { match: "sensors/{site}/#", topic: "{site}", partitionBy: "{site}", headers: none } ]
mirrors: [ { name: a, bootstrapServers: [ "[::1]:9092" ], topics: [ x ], startFrom: latest, window: 1MiB } ]`)
    expect(mqttDoorOptions(config.mqtt)).toMatchObject({
      packetBytesMax: 1_048_576,
      keepAliveSecondsMax: 300,
      routes: [
        { match: 'sensors/{site}/#', topic: '{site}', key: '{mqtt.topic}', partitionBy: '{site}', headers: 'none' },
      ],
    })
    expect(config.mirrors.map(mirrorOptions)[0]).toMatchObject({
      startFrom: 'latest',
      limits: { windowBytesMax: 1_048_576 },
    })
  })
})
