/** One operation of the disk fails, whichever, with any code: no acknowledgement is lost, nothing half is read, the next start works. */
import { describe, expect, test } from 'vitest'
import { type FaultCode, faultCodes, sweep, type SweepFault } from './fault-sweep.ts'

/** All operations with all codes instead of some of each kind: `HEADWATER_SWEEP=all`, some minutes. */
const isAll = process.env['HEADWATER_SWEEP'] === 'all'
const timeoutMs = isAll ? 3_600_000 : 60_000

/** Which of the places of one kind of operation on one kind of file: shares of the way from the first to the last. */
type Shares = (name: string, place: number) => readonly number[]

/** Places of the history to fail at. */
function places(shares: Shares): readonly number[] {
  if (isAll) return operations.map((_, index) => index)
  const byName = Map.groupBy(
    operations.map((name, index) => ({ name, index })),
    ({ name }) => name,
  )
  return [...byName].flatMap(([name, all], place) => {
    const some = shares(name, place).map((share) => all[Math.round(share * (all.length - 1))]?.index ?? 0)
    return [...new Set(some)]
  })
}

const { operations } = await sweep(null)

describe('the scripted history', () => {
  test('does everything that writes', () => {
    for (const name of [
      ...[
        'write state/journal',
        'write log/a-0/N.log',
        'copy log/a-0/N.log',
        'sync log/a-0/N.log',
        'rename log/a-0/N.log',
        'unlink log/a-0/N.log.deleted',
      ],
      ...[
        'write log/k-0/N.log.cleaned',
        'rename log/k-0/N.log.cleaned',
        'write state/segment-digests',
        'reserve log/x-0/N.log',
      ],
      ...[
        'rename state/recovery-points.tmp',
        'rename state/log-starts.tmp',
        'writeFile log/.kafka_cleanshutdown',
        'rename log/x-0',
      ],
      ...['truncate log/x-0/N.log', 'writeFile log/a-0/N.snapshot', 'writeFile log/a-0/N.index', 'syncDirectory log'],
    ])
      expect(operations).toContain(name)
  })
})

/** Runs the history for each place; tells every one that breaks a promise. */
async function everywhere(shares: Shares, faultAt: (index: number) => SweepFault): Promise<string[]> {
  const broken: string[] = []
  for (const index of places(shares)) {
    try {
      const { wasHit } = await sweep(faultAt(index))
      if (!wasHit) broken.push(`${index}, ${operations[index]}: not met`)
    } catch (thrown) {
      broken.push(`${index}, ${operations[index]}: ${String(thrown)}`)
    }
  }
  return broken
}

/** The codes for a lack of room are one to the engine: of the rarer ones a third each. */
const sharesOf: Readonly<Record<FaultCode, Shares>> = {
  ENOSPC: (_, place) => [place % 2],
  EDQUOT: (_, place) => (place % 3 === 0 ? [0.5] : []),
  EFBIG: (_, place) => (place % 3 === 1 ? [1] : []),
  EROFS: (_, place) => (place % 2 === 0 ? [(place % 3) / 2] : []),
  EACCES: (_, place) => [((place + 1) % 3) / 2],
  EMFILE: (_, place) => (place % 3 === 2 ? [0.5] : []),
  EIO: (name, place) => (name.startsWith('sync') ? [0, 0.5, 1] : [(place % 3) / 2]),
}

describe('a disk that fails', () => {
  test.each(faultCodes)('with %s, at any operation, loses nothing', { timeout: timeoutMs }, async (code) => {
    expect(await everywhere(sharesOf[code], (index) => ({ index, code }))).toEqual([])
  })

  test('for want of room, and a start without a free byte after it, loses nothing', {
    timeout: timeoutMs,
  }, async () => {
    const last: Shares = () => [1]
    expect(await everywhere(last, (index) => ({ index, code: 'ENOSPC', thenFull: true }))).toEqual([])
  })
})
