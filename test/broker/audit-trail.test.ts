/** The audit over a simulated disk: power cuts, full disks, and copies that somebody has deleted or edited. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { auditTopic, auditTopicOf } from '../../src/broker/audit-topic.ts'
import { forEachBatch } from '../../src/protocol/records/record-batch.ts'
import { forEachRecord } from '../../src/protocol/records/record.ts'
import { ChainCheck } from '../../src/security/audit/audit-chain-check.ts'
import { type AuditHead, readAuditLine } from '../../src/security/audit/audit-line.ts'
import { AuditTrail } from '../../src/security/audit/audit-trail.ts'
import { auditTypes } from '../../src/security/audit/audit-types.ts'
import type { AuditTopic } from '../../src/security/audit/topic-copy.ts'
import { Prng } from '../sim/prng.ts'
import type { SimHost } from '../sim/host.ts'
import { newWorld } from './admin-world.ts'
import { openRecords, type RecordWorld } from './record-world.ts'

const directory = '/data/state/audit'

interface Life {
  readonly node: RecordWorld
  readonly trail: AuditTrail
}

async function live(
  place: ReturnType<typeof newWorld>,
  files: { fileBytesMax?: number; filesMax?: number } = {},
  through: (topic: AuditTopic) => AuditTopic = (topic) => topic,
): Promise<Life> {
  const node = await openRecords(place)
  const options = { directory, fileBytesMax: 65_536, filesMax: 8, ...files }
  const trail = new AuditTrail({ ...node.ports, files: options })
  trail.start(through(auditTopicOf(node.broker, node.ports.clock)), '/headwater/test/1')
  return { node, trail }
}

let told = 0
function tell({ trail }: Life, count: number): void {
  for (let at = 0; at < count; at++) {
    const fields = { principal: 'User:alice', client: '10.0.0.2', outcome: 'done', detail: '', repeated: 0 }
    trail.record(auditTypes.topicDeleted, `topic ${told++}`, fields)
  }
}

function fileNames(host: SimHost): string[] {
  return host.image
    .filePaths()
    .filter((path) => path.startsWith(directory))
    .sort()
}

function fileLines(host: SimHost): string[] {
  return fileNames(host).flatMap((path) =>
    Buffer.from(host.fileNow(path) ?? [])
      .toString('utf8')
      .split('\n')
      .slice(0, -1),
  )
}

async function topicLines({ node }: Life): Promise<string[]> {
  const partition = node.broker.partitions.get(auditTopic.name, 0)
  const lines: string[] = []
  for (let offset = 0; partition !== undefined && offset < partition.highWatermark; ) {
    const read = await node.settle(node.broker.readTailCold(partition, offset, 1_048_576))
    if (read.kind !== 'batches') throw new Error(read.kind)
    forEachBatch(read.bytes, (bytes, at) =>
      forEachRecord(bytes, at, (record) => {
        lines.push(Buffer.from(record.value ?? []).toString('utf8'))
        offset = record.offset + 1
      }),
    )
  }
  return lines
}

function chainOf(lines: readonly string[], anchor: AuditHead | null = null) {
  const check = new ChainCheck(anchor)
  for (const [at, line] of lines.entries()) check.line(line, `line ${at + 1}`)
  const { fault, anchorFault, gaps, uncleanStops, lost, records, firstSequence } = check
  return { fault, anchorFault, gaps, uncleanStops, lost, records, firstSequence }
}

function dataOf(lines: readonly string[], type: string): Readonly<Record<string, unknown>>[] {
  return lines.flatMap((line) => {
    const read = readAuditLine(line)
    return typeof read !== 'string' && read.type === type ? [read.data] : []
  })
}

/** `0..223 301..305`, in the order of the lines. */
function spans(lines: readonly string[]): string {
  const found: [number, number][] = []
  for (const line of lines) {
    const read = readAuditLine(line)
    const sequence = typeof read === 'string' ? -1 : read.sequence
    const last = found.at(-1)
    if (last !== undefined && last[1] + 1 === sequence) last[1] = sequence
    else found.push([sequence, sequence])
  }
  return found.map(([from, to]) => `${from}..${to}`).join(' ')
}

async function endLife(life: Life): Promise<void> {
  await life.node.settle(life.trail.stop())
  await life.node.settle(life.node.directory.close(1))
  life.node.host.kill()
}

describe('the audit', () => {
  it('writes nothing before there is something to tell, and then one chain in both places, from life to life', async () => {
    const place = newWorld()
    const first = await live(place)
    await place.world.runFor(60_000)
    expect(fileNames(place.host)).toEqual([])
    expect(first.node.broker.partitions.get(auditTopic.name, 0)).toBeUndefined()
    tell(first, 5)
    await place.world.runFor(2_000)
    expect(await topicLines(first)).toEqual(fileLines(place.host))
    await endLife(first)
    const second = await live(place)
    tell(second, 3)
    await place.world.runFor(2_000)
    const lines = fileLines(place.host)
    expect(await topicLines(second)).toEqual(lines)
    expect(chainOf(lines)).toMatchObject({ fault: null, gaps: [], uncleanStops: 0, records: 1 + 5 + 1 + 1 + 3 })
    expect(dataOf(lines, auditTypes.resumed.type)).toMatchObject([{ clean: true }])
    await endLife(second)
  })

  it.each(Array.from({ length: 15 }, (_, seed) => seed))(
    'goes on as one chain after power cuts, says so, and keeps what the topic had told (seed %i)',
    async (seed) => {
      const place = newWorld(100 + seed)
      const prng = new Prng(seed, 'audit')
      const kept: AuditHead[] = []
      let cuts = 0
      for (let turn = 0; turn < 6; turn++) {
        const life = await live(place, { fileBytesMax: 65_536, filesMax: 50 })
        for (let step = prng.between(0, 6); step >= 0; step--) {
          tell(life, prng.between(0, 120))
          await place.world.runFor(prng.between(0, 400))
        }
        const last = readAuditLine((await topicLines(life)).at(-1) ?? '')
        if (typeof last !== 'string') kept.push(last)
        if (prng.chance(0.6)) {
          // Between the sync of the file and the commit of the topic.
          tell(life, 5)
          await place.world.runFor(200 + prng.between(0, 6))
        }
        place.host.powerCut()
        cuts++
      }
      const end = await live(place, { filesMax: 50 })
      tell(end, 1)
      await place.world.runFor(5_000)
      const lines = fileLines(place.host)
      expect(spans(await topicLines(end))).toEqual(spans(lines))
      const check = chainOf(lines)
      expect(check).toMatchObject({ fault: null, gaps: [] })
      expect(check.uncleanStops).toBeGreaterThan(0)
      expect(check.uncleanStops).toBeLessThanOrEqual(cuts)
      for (const head of kept) expect(chainOf(lines, head)).toMatchObject({ fault: null, anchorFault: null })
      await endLife(end)
    },
  )

  it('does not wait for a full disk, keeps what fits, and tells in the chain how much it could not keep', async () => {
    const place = newWorld()
    const life = await live(place, { filesMax: 50 })
    const heal = place.host.failDisk({ operation: 'writeFile', path: /audit/, code: 'ENOSPC' })
    const healWrites = place.host.failDisk({ operation: 'write', path: /audit/, code: 'ENOSPC' })
    for (let round = 0; round < 60; round++) {
      tell(life, 100)
      await place.world.runFor(1_000)
    }
    expect(place.host.observer.eventsOf('audit-stalled')).toHaveLength(1)
    const lost = place.host.observer.figure('headwater_audit_records_lost_total')
    expect(lost).toBeGreaterThan(0)
    heal()
    healWrites()
    await place.world.runFor(60_000)
    const lines = fileLines(place.host)
    expect(place.host.observer.eventsOf('audit-written-again')).toHaveLength(1)
    expect(chainOf(lines)).toMatchObject({ fault: null, lost })
    expect(dataOf(lines, auditTypes.topicDeleted.type)).toHaveLength(6_000 - lost)
    expect(await topicLines(life)).toEqual(lines)
    await endLife(life)
  })

  it.each([
    ['a little', 3, 50],
    ['more than fits into memory', 40, 100],
  ])('goes on in its files while the topic takes nothing, and makes up for it later: %s', async (_, rounds, count) => {
    const place = newWorld()
    let isBroken = false
    const life = await live(place, { filesMax: 50 }, (topic) => ({
      tail: () => topic.tail(),
      append: (lines) => (isBroken ? Promise.reject(new Error('the topic takes nothing')) : topic.append(lines)),
    }))
    tell(life, 10)
    await place.world.runFor(2_000)
    isBroken = true
    for (let round = 0; round < rounds; round++) {
      tell(life, count)
      await place.world.runFor(1_000)
    }
    const written = fileLines(place.host)
    expect(dataOf(written, auditTypes.topicDeleted.type)).toHaveLength(10 + rounds * count)
    expect((await topicLines(life)).length).toBeLessThan(20)
    expect(place.host.observer.eventsOf('audit-stalled')).toHaveLength(1)
    isBroken = false
    await place.world.runFor(60_000)
    expect(spans(await topicLines(life))).toBe(spans(written))
    expect(place.host.observer.eventsOf('audit-written-again')).toHaveLength(1)
    await endLife(life)
  })

  it('tells in the chain what the topic can never be given, because its file is gone', async () => {
    const place = newWorld()
    let isBroken = false
    const life = await live(place, { filesMax: 2 }, (topic) => ({
      tail: () => topic.tail(),
      append: (lines) => (isBroken ? Promise.reject(new Error('the topic takes nothing')) : topic.append(lines)),
    }))
    tell(life, 10)
    await place.world.runFor(2_000)
    isBroken = true
    for (let round = 0; round < 60; round++) {
      tell(life, 100)
      await place.world.runFor(1_000)
    }
    isBroken = false
    await place.world.runFor(60_000)
    tell(life, 5)
    await place.world.runFor(2_000)
    const topic = await topicLines(life)
    expect(chainOf(topic)).toMatchObject({
      fault: null,
      gaps: [{ reason: expect.stringMatching(/^records 11 to \d+ are missing$/) }],
    })
    expect(dataOf(topic, auditTypes.resumed.type)).toMatchObject([
      { clean: true, missingInTopic: expect.stringMatching(/^records 11 to/) },
    ])
    expect(chainOf(fileLines(place.host))).toMatchObject({ fault: null, gaps: [] })
    await endLife(life)
  })

  it('stops in time when the disk takes nothing', async () => {
    const place = newWorld()
    const life = await live(place)
    place.host.failDisk({ operation: 'writeFile', path: /audit/, code: 'EIO' })
    tell(life, 10)
    await place.world.runFor(1_000)
    const before = place.world.nowMs
    await life.node.settle(life.trail.stop())
    expect(place.world.nowMs - before).toBeLessThan(2_500)
  })

  it('keeps a bounded number of files, and each of a bounded size', async () => {
    const place = newWorld()
    const life = await live(place, { fileBytesMax: 65_536, filesMax: 3 })
    for (let round = 0; round < 20; round++) {
      tell(life, 100)
      await place.world.runFor(1_000)
    }
    const names = fileNames(place.host)
    expect(names).toHaveLength(3)
    for (const name of names) expect(place.host.fileNow(name)?.length).toBeLessThanOrEqual(65_536)
    expect(chainOf(fileLines(place.host))).toMatchObject({ fault: null })
    expect(chainOf(await topicLines(life))).toMatchObject({ fault: null, firstSequence: 0 })
    await endLife(life)
  })

  it.each([
    [
      'the files are gone',
      'missingInFile',
      (place: ReturnType<typeof newWorld>) => {
        for (const path of fileNames(place.host)) place.host.image.unlink(path)
      },
    ],
    [
      'a record of the file was taken out',
      'missingInFile',
      (place: ReturnType<typeof newWorld>) => {
        const path = fileNames(place.host)[0] ?? ''
        const lines = Buffer.from(place.host.fileNow(path) ?? [])
          .toString('utf8')
          .split('\n')
        place.host.image.truncate(path, 0)
        place.host.image.write(path, 0, [Buffer.from(lines.toSpliced(3, 1).join('\n'))])
      },
    ],
    [
      'a record of the file was edited',
      'disagreement',
      (place: ReturnType<typeof newWorld>) => {
        const path = fileNames(place.host)[0] ?? ''
        const lines = Buffer.from(place.host.fileNow(path) ?? [])
          .toString('utf8')
          .split('\n')
        // The last two are made anew, with hashes of their own.
        const forged = forge(lines.slice(0, -1))
        place.host.image.truncate(path, 0)
        place.host.image.write(path, 0, [Buffer.from(forged.map((line) => `${line}\n`).join(''))])
      },
    ],
  ] as const)('goes on and says so in its next record when %s', async (_, field, harm) => {
    const place = newWorld()
    const first = await live(place)
    tell(first, 5)
    await place.world.runFor(2_000)
    await endLife(first)
    harm(place)
    const second = await live(place)
    tell(second, 2)
    await place.world.runFor(2_000)
    const topic = await topicLines(second)
    const [resumed] = dataOf(topic, auditTypes.resumed.type)
    expect(resumed).toMatchObject({ clean: false, [field]: expect.stringMatching(/record/) })
    expect(place.host.observer.eventsOf('audit-resumed-unclean')).toHaveLength(1)
    expect(chainOf(topic)).toMatchObject({ fault: null, records: 1 + 5 + 1 + 1 + 2 })
    await endLife(second)
  })
})

/** The same chain, its last record with another subject and a hash that fits. */
function forge(lines: readonly string[]): string[] {
  const body = (lines.at(-1) ?? '')
    .replace('"subject":"audit"', '"subject":"nobody"')
    .replace(/,"hash":"[0-9a-f]{64}"\}$/, '}')
  const hash = createHash('sha256').update(body).digest('hex')
  return [...lines.slice(0, -1), `${body.slice(0, -1)},"hash":"${hash}"}`]
}
