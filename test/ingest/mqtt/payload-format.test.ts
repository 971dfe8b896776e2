import { describe, expect, it } from 'vitest'
import { DoorWorld } from './door-world.ts'

const text = { properties: { payloadFormatIndicator: true } }
const noText = Buffer.from('c328', 'hex')

async function start(checkPayloadFormat: boolean): Promise<DoorWorld> {
  return DoorWorld.start({ checkPayloadFormat })
}

describe('a payload that is said to be UTF-8', () => {
  it('and is not, is refused with 0x99 and stored nowhere; what is, or claims nothing, is stored', async () => {
    const world = await start(true)
    const client = await world.connect('c', 5)
    client.send(
      { cmd: 'publish', topic: 'a/x', payload: noText, qos: 1, messageId: 1, ...text },
      { cmd: 'publish', topic: 'a/x', payload: noText, qos: 2, messageId: 2, ...text },
      { cmd: 'publish', topic: 'a/x', payload: noText, qos: 0, ...text },
      { cmd: 'publish', topic: 'a/x', payload: 'grün\u{1f331}\0', qos: 1, messageId: 3, ...text },
      { cmd: 'publish', topic: 'a/x', payload: noText, qos: 1, messageId: 4, properties: { contentType: 'x' } },
    )
    await client.until('puback#4')
    expect(client.heard).toEqual(['connack 0', 'puback#1 0x99', 'pubrec#2 0x99', 'puback#3', 'puback#4'])
    expect((await world.records('a')).length).toBe(2)
    await world.runFor(2000)
    const labels = { reason: 'payloadFormatInvalid' }
    expect(world.host.observer.figure('headwater_mqtt_refused_messages_total', labels)).toBe(3)
  })

  it('is taken at its word unless the check is asked for', async () => {
    const world = await start(false)
    const client = await world.connect('c', 5)
    client.send({ cmd: 'publish', topic: 'a/x', payload: noText, qos: 1, messageId: 1, ...text })
    await client.until('puback#1')
    expect(client.heard.at(-1)).toBe('puback#1')
    expect((await world.records('a')).length).toBe(1)
  })

  it('as a will is refused with its CONNECT', async () => {
    const world = await start(true)
    const client = await world.open(5)
    client.sendConnect('c', { will: { topic: 'a/will', payload: noText, qos: 0, retain: false, ...text } })
    expect(await client.look()).toBe('connack 0x99, closed')
  })
})
