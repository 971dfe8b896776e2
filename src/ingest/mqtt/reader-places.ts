/** Where a reader is in the log, as it is written down and as it is read back. */
import type { Partition } from '../../cluster/partition/partition.ts'
import type { MessageOrigin } from './outgoing-message.ts'

/** A place in one partition. */
export interface StoredPosition {
  readonly topicId: string
  readonly partition: number
  /** Of the lowest record that the reader is not done with, or the next one that it reads. */
  readonly offset: number
  /** With all below it, from `offset` on, the reader is done, but for `open`; left out where there is nothing of the kind. */
  readonly doneTo?: number | undefined
  /** Offsets below `doneTo`, as distances from `offset`, in their order. */
  readonly open?: readonly number[] | undefined
}

/** What a reader was done with above its place when the last run ended. */
export interface DoneAbove {
  readonly endOffset: number
  readonly open: ReadonlySet<number>
}

/** Whoever has places in the log. */
export interface PlacedReader {
  /** Next offset of each partition that is not read with all others. */
  readonly behind: Map<Partition, number>
  /** Kept until its place has passed it: what waits for it in memory may have to wait in the log again. */
  readonly done: Map<Partition, DoneAbove>
}

/** The last run has seen to it that the reader need not be given the record again. */
export function isDoneWith({ done }: PlacedReader, partition: Partition, offset: number): boolean {
  if (done.size === 0) return false
  const above = done.get(partition)
  return above !== undefined && offset < above.endOffset && !above.open.has(offset)
}

/** The lowest offset of each partition that is not done with. */
export function lowestPlaces(
  behind: ReadonlyMap<Partition, number>,
  pending: Iterable<MessageOrigin>,
): Map<Partition, number> {
  const lowest = new Map(behind)
  for (const { partition, offset } of pending) {
    lowest.set(partition, Math.min(offset, lowest.get(partition) ?? offset))
  }
  return lowest
}

/**
 * The places of a reader, which forgets what they have passed, with what it is done with above them: of what was read for it, what is not pending. `live`: up to where those are that are not
 * behind; `openMax`: pending records of one partition that are told apart, what lies above counts as not done.
 */
export function placesToStore(
  reader: PlacedReader,
  pending: readonly MessageOrigin[],
  { live, openMax }: { readonly live: ReadonlyMap<Partition, number>; readonly openMax: number },
): StoredPosition[] {
  const open = new Map<Partition, number[]>()
  for (const { partition, offset } of pending) {
    const known = open.get(partition)
    if (known === undefined) open.set(partition, [offset])
    else known.push(offset)
  }
  const lowest = lowestPlaces(reader.behind, pending)
  for (const [partition, { endOffset }] of reader.done) {
    if ((lowest.get(partition) ?? endOffset) >= endOffset) reader.done.delete(partition)
  }
  const places: StoredPosition[] = []
  for (const [partition, offset] of lowest) {
    const { topicId, index } = partition
    const readTo = reader.behind.get(partition) ?? live.get(partition) ?? offset
    places.push({
      ...{ topicId, partition: index, offset },
      ...aboveOf(offset, readTo, { open: open.get(partition) ?? [], openMax }, reader.done.get(partition)),
    })
  }
  return places
}

function aboveOf(
  offset: number,
  readTo: number,
  { open: pending, openMax }: { readonly open: readonly number[]; readonly openMax: number },
  before: DoneAbove | undefined,
): Pick<StoredPosition, 'doneTo' | 'open'> {
  const open = pending.filter((each) => each < readTo)
  let doneTo = readTo
  if (before !== undefined && before.endOffset > readTo) {
    // What it has not come to yet is as the last run left it.
    doneTo = before.endOffset
    for (const each of before.open) if (each >= readTo) open.push(each)
  }
  open.sort((a, b) => a - b)
  if (open.length > openMax) {
    doneTo = open[openMax] as number
    open.length = openMax
  }
  // None of them is done with.
  if (open.length >= doneTo - offset) return {}
  return { doneTo, open: open.map((each) => each - offset) }
}

/** By its places the reader is done with the record. */
export function hasPassed(places: readonly StoredPosition[], { partition, offset }: MessageOrigin): boolean {
  const place = places.find((each) => each.topicId === partition.topicId && each.partition === partition.index)
  if (place === undefined || offset < place.offset) return true
  return offset < (place.doneTo ?? place.offset) && place.open?.includes(offset - place.offset) !== true
}

/** What was stored above a place; the common reader goes on at `tail`, and gives all that is above it anew. */
export function doneAboveOf({ offset, doneTo, open }: StoredPosition, tail: number): DoneAbove | null {
  const endOffset = Math.min(doneTo ?? offset, tail)
  if (endOffset <= offset) return null
  return { endOffset, open: new Set((open ?? []).map((distance) => offset + distance)) }
}
