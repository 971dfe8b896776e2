/** Clients that take everything and give nothing: never reading, never finishing, coming in hundreds. */
import { strict as assert } from 'node:assert'
import { apiVersionsApi, fetchApi } from '../../src/protocol/kafka/apis.ts'
import { decodeResponse, encodeRequest } from '../../src/protocol/kafka/header.ts'
import { batchOfValues, int32 } from './batch-bytes.ts'
import { type BrokenBatch, bombs } from './broken-batches.ts'
import { doorBounds, type DoorWorld } from './door-world.ts'
import { metadataRequest } from './kafka-frames.ts'
import { figure } from './figures.ts'
import { heavyBatches } from './heavy-batches.ts'
import { assertGrowth, memoryOf } from './process-facts.ts'
import { RawClient } from './raw-client.ts'
import { pause, type Row, until } from './row.ts'

const mib = 1_048_576
const fetches = 10_000
const deafClients = figure(10, 50)
/** The budget of answers, 128 MiB, and what is small: the memory of a large answer is free as soon as it has left. */
const deafGrownBytesMax = 192 * mib
const silentClients = figure(100, 1_000)
const bombClients = figure(20, 100)
const heavyClients = figure(5, 20)

export function kafkaLoadRows(world: DoorWorld): readonly Row[] {
  const { kafka, pid } = world.daemon
  return [
    {
      name: `Kafka: ${deafClients} clients that each send 10,000 Fetches of 50 MiB and never read take a bounded memory`,
      async run() {
        const talk = await world.talk()
        assert.equal(await talk.createTopic('bulk'), 'NONE')
        for (let index = 0; index < 50; index++) {
          assert.equal((await talk.produce('bulk', 0, batchOfValues(['b'.repeat(1_000_000)]))).error, 'NONE')
        }
        talk.close()
        const before = memoryOf(pid).residentBytes
        const deaf = await Promise.all(
          Array.from({ length: deafClients }, () => RawClient.connect(kafka, { isDeaf: true })),
        )
        const wanted = 50 * mib
        const topics = [{ topic: 'bulk', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: wanted }] }]
        const one = Buffer.concat(
          encodeRequest(fetchApi, 12, 5, 'attack', { maxWaitMs: 100, minBytes: 1, maxBytes: wanted, topics }),
        )
        for (const client of deaf) client.send(...Array.from({ length: fetches }, () => one))
        await pause(1_500)
        const grown = memoryOf(pid).residentBytes - before
        for (const client of deaf) client.destroy()
        assertGrowth(grown, deafGrownBytesMax)
      },
    },
    {
      name: `Kafka: ${silentClients} clients that announce the largest frame and fall silent keep neither memory nor a large request of others`,
      async run() {
        const before = memoryOf(pid).residentBytes
        const silent = await Promise.all(Array.from({ length: silentClients }, () => RawClient.connect(kafka)))
        for (const client of silent) client.send(int32(doorBounds.kafkaFrameBytesMax), Buffer.alloc(100, 1))
        const talk = await world.talk()
        const answer = await talk.produce('bulk', 0, batchOfValues(['large'.repeat(200_000)]))
        talk.close()
        assert.equal(answer.error, 'NONE')
        const grown = memoryOf(pid).residentBytes - before
        assertGrowth(grown, 64 * mib)
        await Promise.all(silent.map((client) => client.closed(doorBounds.kafkaIdleMs * 2 + 5_000)))
      },
    },
    {
      name: `Kafka: ${bombClients} clients that send batches which open to hundreds of megabytes take a bounded memory, and others are served`,
      run: () => flood(world, bombClients, bombs(), 100 * mib),
    },
    {
      name: `Kafka: ${heavyClients} clients that send batches of thirty megabytes, packed, take a bounded memory, and others are served`,
      run: async () => flood(world, heavyClients, await heavyBatches(), 128 * mib),
    },
    {
      name: 'Kafka: connections beyond max.connections are closed at once; when others go, new ones are served',
      async run() {
        const all = await Promise.all(
          Array.from({ length: doorBounds.kafkaConnectionsMax + 50 }, () => RawClient.connect(kafka)),
        )
        await until(() => all.filter((client) => client.isClosed).length >= 50, 5_000, 'the surplus to be closed')
        for (const client of all) client.destroy()
        await until(() => serves(kafka), 5_000, 'a new connection to be served')
      },
    },
  ]
}

/** Each client sends each batch; what an honest one has to wait meanwhile, and what the daemon takes for it, is bounded. */
async function flood(
  { daemon, talk }: DoorWorld,
  count: number,
  batches: readonly BrokenBatch[],
  grownBytesMax: number,
): Promise<void> {
  const clients = await Promise.all(Array.from({ length: count }, () => talk()))
  const honest = await talk()
  await honest.createTopic('bombs')
  const before = memoryOf(daemon.pid).residentBytes
  let largest = before
  let areDone = false
  const attacks = Promise.all(
    clients.map(async (client) => {
      for (const { name, records, error } of batches)
        assert.equal((await client.produce('bombs', 0, records)).error, error, name)
    }),
  ).finally(() => {
    areDone = true
  })
  let slowestMs = 0
  while (!areDone) {
    const startMs = Date.now()
    assert.equal((await honest.produce('bombs', 0, batchOfValues(['honest']))).error, 'NONE')
    slowestMs = Math.max(slowestMs, Date.now() - startMs)
    largest = Math.max(largest, memoryOf(daemon.pid).residentBytes)
    await pause(20)
  }
  await attacks
  for (const client of [...clients, honest]) client.close()
  assertGrowth(largest - before, grownBytesMax)
  assert.ok(slowestMs < 2_000, `an honest client waited ${slowestMs} ms`)
}

const slowClients = figure(40, 400)

/** Clients that are there from the beginning, and the rows that look at them at the end. */
export async function lingering(world: DoorWorld): Promise<readonly Row[]> {
  const { kafka } = world.daemon
  const slow = new SlowClients(kafka)
  await slow.start(slowClients)
  const half = await RawClient.connect(kafka)
  half.send(metadataRequest().subarray(0, 20))
  return [
    {
      name: 'Kafka: a frame that stops half-way is forgotten with its connection, once that has been idle',
      run: () => half.closed(doorBounds.kafkaIdleMs * 2 + 2_000),
    },
    {
      name: `Kafka: ${slowClients} clients that send one byte a second hurt nobody, and each gets its answer`,
      run: () => slow.finish(),
    },
  ]
}

async function serves(kafka: string): Promise<boolean> {
  const client = await RawClient.connect(kafka)
  client.send(...encodeRequest(apiVersionsApi, 0, 1, null, {}))
  return client
    .frame(1_000)
    .then(
      () => true,
      () => false,
    )
    .finally(() => client.destroy())
}

/** Each sends ApiVersions of version 0, 14 bytes, one a second. */
class SlowClients {
  readonly #kafka: string
  #clients: readonly RawClient[] = []
  #sending: Promise<void> = Promise.resolve()

  constructor(kafka: string) {
    this.#kafka = kafka
  }

  async start(count: number): Promise<void> {
    this.#clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(this.#kafka)))
    this.#sending = this.#send(Buffer.concat(encodeRequest(apiVersionsApi, 0, 9, null, {})))
  }

  async #send(bytes: Buffer): Promise<void> {
    for (const byte of bytes) {
      for (const client of this.#clients) client.send(Buffer.from([byte]))
      await pause(1_000)
    }
  }

  async finish(): Promise<void> {
    await this.#sending
    for (const client of this.#clients) {
      const { correlationId, value } = decodeResponse(apiVersionsApi, 0, await client.frame())
      assert.deepEqual([correlationId, value.errorCode], [9, 0])
      client.destroy()
    }
  }
}
