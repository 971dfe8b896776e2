import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventDefinition } from '../../src/base/event-def.ts'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { sourceCommand } from '../interop/headwater.ts'
import { ApplianceWorld, runProgram } from './appliance-world.ts'
import { CertificateFolder, hasOpenssl } from './certificates.ts'

let world: ApplianceWorld
const folder = new CertificateFolder()
beforeAll(async () => {
  world = await ApplianceWorld.create()
})
afterAll(async () => {
  await world.remove()
  folder.remove()
})

describe('a first start', () => {
  it.skipIf(!hasOpenssl)('does not open a listener with passwords to other hosts before there is a user', async () => {
    const tls = folder.leaf('server', folder.authority('authority'))
    const kafka = { listen: '0.0.0.0:0', tls, saslMechanisms: ['SCRAM-SHA-256'] }
    await expect(world.start({ kafka })).rejects.toMatchObject({ code: 'SECURITY_NO_USERS' })
    const { kafka: bootstrap } = await world.start()
    const headwater = (words: readonly string[], input = '') =>
      runProgram('sh', [...sourceCommand.slice(1), ...words, '-b', bootstrap], { input })
    expect(await headwater(['users', 'set', 'alice'], 'short\n')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/at least 8/),
    })
    expect(await headwater(['users', 'set', 'alice'], 'wonderland\n')).toMatchObject({ code: 0, stderr: '' })
    expect((await headwater(['users', 'list', '--json'])).stdout).toContain('"mechanism": "SCRAM-SHA-256"')
    expect(await headwater(['users', 'set', 'bob', '--mechanism', 'MD5'], 'wonderland')).toMatchObject({ code: 1 })
    await headwater(['users', 'set', 'bob', '--mechanism', 'SCRAM-SHA-512', '--iterations', '8192'], 'wonderland')
    expect(await headwater(['users', 'remove', 'bob'])).toMatchObject({ code: 0 })
    expect(await headwater(['users', 'remove', 'bob'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/RESOURCE_NOT_FOUND/),
    })
    expect((await world.start({ kafka })).kafka).toMatch(/^0\.0\.0\.0:/)
  })

  it.skipIf(!hasOpenssl)('does not open HTTP with names to other hosts before there is a user', async () => {
    const own = await ApplianceWorld.create()
    const tls = folder.leaf('http', folder.authority('authority-of-http'))
    const http = { listen: '0.0.0.0:0', tls, authentication: 'required' }
    await expect(own.start({ listeners: { http } })).rejects.toMatchObject({ code: 'SECURITY_NO_USERS' })
    await own.remove()
  })

  it('tells of a listener that is to stay without names once there is an admin', async () => {
    const told: string[] = []
    const observer = {
      ...silentObserver,
      event: (definition: EventDefinition, fields: object) => {
        if (definition.id === 'listener-without-names') told.push(String(Object.values(fields)[0]))
      },
    }
    const settings = { 'super.users': 'User:alice' }
    const listeners = { dangerouslyAllowUnprotected: true }
    await world.start({ observer, listeners, settings: { 'super.users': 'User:nobody-is-called-so' } })
    await world.start({ observer, settings })
    expect(told).toEqual([])
    await world.start({ observer, listeners, settings, kafka: { saslMechanisms: ['SCRAM-SHA-256'] } })
    expect(told).toEqual(['mqtt.0', 'http'])
  })

  it('tells of every listener that is open to other hosts because it was told so', async () => {
    const told: string[] = []
    const observer = {
      ...silentObserver,
      event: (definition: EventDefinition, fields: object) => {
        if (definition.id === 'listener-unprotected') told.push(String(Object.values(fields)[0]))
      },
    }
    const listeners = { dangerouslyAllowUnprotected: true }
    await world.start({ kafka: { listen: '0.0.0.0:0' }, mqtt: { listen: '0.0.0.0:0' }, listeners, observer })
    expect(told).toEqual(['kafka.0', 'mqtt.0'])
  })
})
