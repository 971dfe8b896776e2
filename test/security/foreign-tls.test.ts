/** TLS as programs that are not ours speak it, from a configuration to the last byte. */
import { readFileSync } from 'node:fs'
import { Kafka, logLevel } from 'kafkajs'
import { connectAsync } from 'mqtt'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { hasPrograms } from '../interop/foreign.ts'
import { ApplianceWorld, runProgram } from './appliance-world.ts'
import { CertificateFolder, type CertificateFiles, hasOpenssl } from './certificates.ts'

const folder = new CertificateFolder()
let world: ApplianceWorld
let authority: CertificateFiles
let server: CertificateFiles
let client: CertificateFiles

beforeAll(async () => {
  world = await ApplianceWorld.create()
  if (!hasOpenssl) return
  authority = folder.authority('authority')
  server = folder.leaf('server', authority)
  client = folder.leaf('client', authority)
})
afterEach(() => world.stop())
afterAll(async () => {
  await world.remove()
  folder.remove()
})

const tls = (clientAuth: 'none' | 'required') => ({
  tls: { ...server, clientAuth, ...(clientAuth === 'none' ? {} : { clientCa: authority.certificate }) },
})

const missing = hasPrograms('kcat', 'mosquitto_pub', 'mosquitto_sub')
if (missing !== null) console.log(missing)

describe.skipIf(!hasOpenssl)('kafkajs', () => {
  test('produces and reads over TLS, and shows its certificate', async () => {
    const { kafka } = await world.start({ kafka: tls('required') })
    const files = { ca: [readFileSync(authority.certificate)] }
    const identity = { cert: readFileSync(client.certificate), key: readFileSync(client.key) }
    const open = (ssl: object) =>
      new Kafka({ brokers: [kafka], ssl, logLevel: logLevel.NOTHING, retry: { retries: 0 } })
    const producer = open({ ...files, ...identity }).producer()
    await producer.connect()
    const [sent] = await producer.send({ topic: 'secure', messages: [{ value: 'v'.repeat(300_000) }] })
    expect(sent?.errorCode).toBe(0)
    await producer.disconnect()
    await expect(open(files).producer().connect()).rejects.toThrow()
  })
})

describe.skipIf(!hasOpenssl)('a certificate', () => {
  test('is a principal with rights, for Kafka and for MQTT', async () => {
    const settings = {
      'ssl.principal.mapping.rules': 'RULE:^CN=(.*)$/$1/U',
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:CLIENT',
    }
    const other = folder.leaf('other', authority)
    const { kafka, mqtt } = await world.start({ kafka: tls('required'), mqtt: tls('required'), settings })
    const ca = readFileSync(authority.certificate)
    const identity = (files: CertificateFiles) => ({
      cert: readFileSync(files.certificate),
      key: readFileSync(files.key),
    })
    const produce = async (files: CertificateFiles): Promise<unknown> => {
      const ssl = { ca: [ca], ...identity(files) }
      const producer = new Kafka({
        brokers: [kafka],
        ssl,
        logLevel: logLevel.NOTHING,
        retry: { retries: 0 },
      }).producer()
      await producer.connect()
      const sent = await producer
        .send({ topic: 'named', messages: [{ value: 'x' }] })
        .catch((thrown: unknown) => thrown)
      await producer.disconnect()
      return sent
    }
    expect(await produce(client)).toMatchObject([{ errorCode: 0 }])
    expect(await produce(other)).toMatchObject({ cause: { type: 'TOPIC_AUTHORIZATION_FAILED' } })
    const publish = async (files: CertificateFiles): Promise<void> => {
      const connected = await connectAsync(`mqtts://${mqtt}`, {
        protocolVersion: 5,
        ca,
        ...identity(files),
        reconnectPeriod: 0,
      })
      try {
        await connected.publishAsync('named/a', '1', { qos: 1 })
      } finally {
        await connected.endAsync()
      }
    }
    await publish(client)
    await expect(publish(other)).rejects.toMatchObject({ code: 0x87 })
  })
})

describe.skipIf(!hasOpenssl || missing !== null)('kcat and mosquitto', () => {
  test('a reading published over MQTT and TLS is consumed over Kafka and TLS', async () => {
    const { kafka, mqtt } = await world.start({ kafka: tls('none'), mqtt: tls('required') })
    const [host = '', port = ''] = mqtt.split(':')
    const identity = ['--cert', client.certificate, '--key', client.key]
    const publish = [
      '-h',
      host,
      '-p',
      port,
      '--cafile',
      authority.certificate,
      '-q',
      '1',
      '-t',
      'plant/a',
      '-m',
      '21.5',
    ]
    expect(await runProgram('mosquitto_pub', [...publish, ...identity])).toMatchObject({ code: 0 })
    expect((await runProgram('mosquitto_pub', publish)).code).not.toBe(0)
    const security = ['-X', 'security.protocol=ssl', '-X', `ssl.ca.location=${authority.certificate}`]
    const read = await runProgram('kcat', [
      '-C',
      '-b',
      kafka,
      '-t',
      'plant',
      '-o',
      'beginning',
      '-e',
      '-q',
      ...security,
    ])
    expect(read.stdout).toBe('21.5\n')
  })
})
