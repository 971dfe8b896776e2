/** Access control entries that go while messages wait for a client. */
import { expect, it } from 'vitest'
import { aclOperation, aclPattern, aclPermission, aclResource } from '../../../src/security/acl.ts'
import { AclTable } from '../../../src/security/acl-table.ts'
import { Authorizer } from '../../../src/security/authorizer.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

const narrow = { properties: { receiveMaximum: 1 } }

function allow(table: AclTable, id: string, host: string, operation: number): void {
  table.add(id, {
    resourceType: aclResource.topic,
    resourceName: 'a',
    patternType: aclPattern.literal,
    principal: 'User:*',
    host,
    operation,
    permissionType: aclPermission.allow,
  })
}

/** A world in which everybody may write what is under `a`. */
async function guarded(): Promise<{ world: DoorWorld; table: AclTable }> {
  const table = new AclTable()
  for (const operation of [aclOperation.write, aclOperation.create]) allow(table, `all ${operation}`, '*', operation)
  const authorizer = new Authorizer({ table, isEnabled: true, superUsers: new Set(), allowsWithoutAcl: false })
  const world = await DoorWorld.start({}, 1, {}, authorizer)
  await world.settle(world.broker.ensureTopic('a'))
  return { world, table }
}

async function publish(world: DoorWorld): Promise<void> {
  const publisher = await world.connect('p', 5)
  for (const id of [1, 2, 3]) publisher.publish('a/x', `m${id}`, 1, id)
  await publisher.until('puback#3')
  await world.runFor(50)
}

function payloads(client: TestClient): string[] {
  return client.heard.filter((line) => line.startsWith('publish')).map((line) => line.slice(line.indexOf('=') + 1))
}

it('what waits in the queue of a client is not sent to it when it may not read it any more', async () => {
  const { world, table } = await guarded()
  allow(table, 'one', '*', aclOperation.read)
  const client = await world.subscribed(['c', 5, narrow], 'a/#')
  await publish(world)
  expect(payloads(client)).toEqual(['m1'])
  table.remove('one')
  client.puback(1)
  await world.runFor(200)
  expect(payloads(client)).toEqual(['m1'])
  allow(table, 'one', '*', aclOperation.read)
  await publish(world)
  expect(payloads(client)).toEqual(['m1', 'm1'])
})

it('what waits so by a shared subscription goes to a member that may', async () => {
  const { world, table } = await guarded()
  const elsewhere = world.world.host('elsewhere')
  allow(table, 'here', world.world.host('field').address, aclOperation.read)
  allow(table, 'there', elsewhere.address, aclOperation.read)
  const first = await world.subscribed(['c', 5, narrow], '$share/g/a/#')
  await publish(world)
  expect(payloads(first)).toEqual(['m1'])
  const second = await world.open(5, elsewhere.boot())
  second.sendConnect('d', {})
  second.subscribe(1, '$share/g/a/#')
  await second.until('suback#1 1')
  table.remove('here')
  first.puback(1)
  await world.runFor(200)
  expect(payloads(first)).toEqual(['m1'])
  expect(payloads(second)).toEqual(['m2', 'm3'])
})
