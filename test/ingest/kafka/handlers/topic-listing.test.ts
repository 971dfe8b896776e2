import { describe, expect, it } from 'vitest'
import type { KafkaHandler, RequestContext } from '../../../../src/ingest/kafka/handler.ts'
import { adminHandlers } from '../../../../src/ingest/kafka/handlers/admin-handlers.ts'
import { errorCode } from '../../../../src/protocol/kafka/error-codes.ts'
import { turn } from '../../../explore/stage.ts'
import { openAdmin, patient, secretTopic, topicRequest } from '../../../broker/admin-world.ts'

interface Listing {
  readonly topics: readonly { readonly name: string; readonly errorCode: number; readonly isInternal?: boolean }[]
}

const context: RequestContext = {
  apiVersion: 12,
  clientId: null,
  principal: 'User:ANONYMOUS',
  clientHost: '10.0.0.9',
  localHost: '10.0.0.1',
  localPort: 9092,
  advertised: { host: 'edge.local', port: 9192 },
  connectionId: 1,
  isClosed: () => false,
  onClose() {},
}

async function openListing(): Promise<(apiKey: number, request: object) => Promise<Listing>> {
  const admin = await openAdmin()
  await admin.settle(admin.topics.create(topicRequest('readings', { partitions: 2 }), patient))
  await admin.settle(admin.topics.ensureInternal(secretTopic))
  const handlers = new Map(adminHandlers(admin))
  return (apiKey, request) =>
    admin.settle(
      Promise.resolve((handlers.get(apiKey) as KafkaHandler<object, Listing>)(request, context)),
    ) as Promise<Listing>
}

describe('a list of all topics', () => {
  it('leaves out those of the node that clients may not read, which can still be asked for by name', async () => {
    const ask = await openListing()
    const all = await ask(3, { topics: null })
    const page = await ask(75, { topics: [], cursor: null, responsePartitionLimit: 100 })
    const none = 'AAAAAAAAAAAAAAAAAAAAAA'
    const named = await ask(3, { topics: [{ name: secretTopic.name, topicId: none }], allowAutoTopicCreation: false })
    expect([all, page].map(({ topics }) => topics.map(({ name }) => name))).toEqual([['readings'], ['readings']])
    expect(named.topics).toMatchObject([{ name: secretTopic.name, errorCode: 0, isInternal: true }])
  })

  it('never shows a topic that somebody else is just making without its leaders', async () => {
    const admin = await openAdmin()
    const handler = new Map(adminHandlers(admin)).get(3) as KafkaHandler<object, Listing>
    const ask = (topics: null): Promise<Listing> =>
      Promise.resolve(handler({ topics, allowAutoTopicCreation: false }, context)) as Promise<Listing>
    const made = admin.topics.create(topicRequest('readings', { partitions: 2 }), patient)
    const listed: Promise<Listing>[] = []
    const watched = made.then(() => 'made')
    const watch = async (): Promise<void> => {
      while ((await Promise.race([watched, turn()])) !== 'made') listed.push(ask(null))
    }
    await Promise.all([watch(), admin.settle(made)])
    const seen = (await Promise.all(listed)).flatMap(({ topics }) => topics) as unknown as readonly {
      readonly partitions: readonly { readonly errorCode: number }[]
    }[]
    expect(listed.length).toBeGreaterThan(2)
    expect(seen.flatMap(({ partitions }) => partitions).filter((each) => each.errorCode !== 0)).toEqual([])
  })

  it('refuses a cursor that points nowhere', async () => {
    const ask = await openListing()
    const refused = [{ name: 'readings', errorCode: errorCode('INVALID_REQUEST') }]
    const cursors = [
      { topicName: 'readings', partitionIndex: -1 },
      { topicName: 'others', partitionIndex: 0 },
    ]
    for (const cursor of cursors) {
      const page = await ask(75, { topics: [{ name: 'readings' }], cursor, responsePartitionLimit: 100 })
      expect(page.topics).toMatchObject(refused)
    }
  })
})
