/** Segment files that are gone: what tells of them, for how long, and that giving up what is around them goes on. */
import { describe, expect, test } from 'vitest'
import { checkDirectory, type Finding } from '../../src/log/directory-check.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { boot, folder, logOf, type Place, sizeOf, stopped } from './damage-fixture.ts'
import { appendOne, batchOf, done } from './log-fixture.ts'

/** Names of the log's segments and their indexes. */
async function namesOf({ world, directory, host }: Place): Promise<readonly string[]> {
  if (host.isUp) await world.settle(directory.close())
  host.kill()
  const names = (await world.settle(host.boot().disk.list(folder))).map(({ name }) => name)
  host.kill()
  return names.filter((name) => /\.(log|index|timeindex)(\.deleted)?$/.test(name))
}

async function findings({ world, host }: Place): Promise<readonly Finding[]> {
  const { disk } = host.boot()
  const found: Finding[] = []
  const place = { logDirectory: '/data/log', stateDirectory: '/data/state' }
  await world.settle(checkDirectory(place, disk, (finding) => found.push(finding)))
  host.kill()
  return found
}

function lose(place: Place, name: string): void {
  place.host.image.unlink(`${folder}/${name}`)
  place.host.image.syncDirectory(folder)
}

async function append({ world, directory }: Place, log: UnifiedLog): Promise<void> {
  done(appendOne(directory, log, batchOf(['x'.repeat(500), 'y'])))
  await world.run(() => log.writtenEndOffset === log.logEndOffset)
  log.highWatermark = log.durableEndOffset
}

const isLog = (name: string): boolean => name.endsWith('.log')

test.each(['at the start', 'by a hand, while it runs,'])(
  'records are deleted, and the directory goes on, where a file of theirs was gone %s',
  async (when) => {
    const place = await stopped(3)
    const files = (await namesOf(place)).filter(isLog)
    const gone = when === 'at the start' ? files : files.slice(0, 2)
    if (when === 'at the start') for (const file of gone) lose(place, file)
    await boot(place)
    if (when !== 'at the start') for (const file of gone) lose(place, file)
    const log = logOf(place)
    for (let batches = 0; batches < 3; batches++) await append(place, log)
    const { logEndOffset } = log
    expect(await place.world.settle(log.deleteRecordsBefore(logEndOffset - 1))).toBe(logEndOffset - 1)
    await place.world.runFor(100_000)
    await append(place, log)
    expect(place.directory.failure).toBeNull()
    place.host.powerCut()
    await boot(place)
    expect(logOf(place)).toMatchObject({ logStartOffset: logEndOffset - 1, logEndOffset: logEndOffset + 2 })
    expect(place.host.observer.eventsOf('log-segment-missing')).toEqual([])
    expect(logOf(place).damage.isEmpty).toBe(true)
    await place.world.settle(place.directory.close())
    place.host.kill()
    expect(await findings(place)).toEqual([])
  },
)

test('a first segment that is gone is told at each start until the log has given up more, and then no more', async () => {
  const place = await stopped(5)
  const [first = '', second = ''] = (await namesOf(place)).filter(isLog)
  lose(place, first)
  for (const start of ['the first', 'the second']) {
    await boot(place)
    expect(place.host.observer.eventsOf('log-segment-missing'), start).toHaveLength(1)
    await namesOf(place)
    expect(
      (await findings(place)).map(({ kind }) => kind),
      start,
    ).toEqual(['damaged'])
  }
  await boot(place)
  const third = logOf(place).segments[1]?.baseOffset ?? 0
  await place.world.settle(logOf(place).deleteRecordsBefore(third))
  await place.world.runFor(100_000)
  const names = await namesOf(place)
  expect(names.filter((name) => [first, second].some((file) => name.startsWith(file.slice(0, 20))))).toEqual([])
  expect(await findings(place)).toEqual([])
  await boot(place)
  expect(place.host.observer.eventsOf('log-segment-missing')).toEqual([])
})

test('an index without its segment between others goes at the next start, which still tells of the gap', async () => {
  const place = await stopped(7)
  const lost = (await namesOf(place)).filter(isLog)[2] ?? ''
  lose(place, lost)
  expect((await findings(place)).map(({ kind }) => kind)).toEqual(['hint', 'damaged'])
  await boot(place)
  expect(await namesOf(place)).not.toContain(lost.replace('log', 'index'))
  expect((await findings(place)).map(({ kind }) => kind)).toEqual(['damaged'])
})

/** The offsets that are known to be lost, before anybody has read there. */
const lostRanges = (place: Place): readonly (readonly [number, number])[] =>
  logOf(place).damage.ranges.map(({ fromOffset, endOffset }) => [fromOffset, endOffset])

describe.each(['cleanly', 'by a power cut'])('where each start is ended %s', (how) => {
  const isCut = how !== 'cleanly'

  test.each([
    ['an end', -1, 0.5],
    ['an end with all that its segment has', -1, 0],
    ['a last segment', -1, null],
    ['a segment between others', 1, null],
  ] as const)('%s that is lost is known to each later one', async (_, which, share) => {
    const place = await stopped(9)
    const file = (await namesOf(place))
      .filter((name) => isLog(name) && sizeOf(place.host, `${folder}/${name}`) > 0)
      .at(which)
    const path = `${folder}/${file}`
    const { image } = place.host
    if (share === null) lose(place, file ?? '')
    else {
      image.truncate(path, Math.floor(sizeOf(place.host, path) * share))
      image.file(path).sync()
    }
    await boot(place)
    const ranges = lostRanges(place)
    expect(ranges.length).toBeGreaterThan(which < 0 ? 0 : -1)
    for (let start = 1; start <= 3; start++) {
      await append(place, logOf(place))
      if (!isCut) await place.world.settle(place.directory.close())
      if (isCut) place.host.powerCut()
      else place.host.kill()
      await boot(place)
      expect(lostRanges(place), `start ${start}`).toHaveLength(1)
      if (ranges.length > 0) expect(lostRanges(place), `start ${start}`).toEqual(ranges)
    }
  })
})
