import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventDefinition } from '../../src/base/event-def.ts'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { KafkaClient } from '../../src/admin/cli/kafka-client.ts'
import { setUser } from '../../src/admin/cli/users-command.ts'
import { parseAddress } from '../../src/config-values.ts'
import { nodePorts } from '../../src/node/node-ports.ts'
import { ApplianceWorld } from './appliance-world.ts'
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
    const address = parseAddress((await world.start()).kafka)
    if (typeof address === 'string') throw new Error(address)
    const ports = nodePorts({ observer: silentObserver, withoutAddOn: true })
    const client = new KafkaClient(ports, [address])
    await setUser(client, 'alice', { password: 'wonderland', mechanism: 'SCRAM-SHA-256', iterations: 4096 })
    await client.close()
    await ports.close()
    expect((await world.start({ kafka })).kafka).toMatch(/^0\.0\.0\.0:/)
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
