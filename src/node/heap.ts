/** The heap: gives back what the process needed only to be built, and says how large it may grow. */
import v8 from 'node:v8'
import vm from 'node:vm'

/**
 * One full collection that also returns the freed pages to the system: V8 keeps the young generation that loading the program
 * has blown up (17 MB here) until much later. It stops the loop for some 15 ms: call it before clients are told to come.
 */
export function releaseHeap(): void {
  v8.setFlagsFromString('--expose-gc')
  const collect = vm.runInNewContext('gc') as (options: object) => void
  collect({ type: 'major', flavor: 'last-resort', execution: 'sync' })
  v8.setFlagsFromString('--no-expose-gc')
}

/**
 * How far the old generation may grow beyond what was alive at the last full collection, before the next one. By itself V8 waits for up to four
 * times as much: after a flood of connections or sessions that was 130 MB for 35 that are alive, and it is seldom given back.
 */
const heapGrowthPercentMax = 50

/**
 * Garbage stays a part of what is alive, and V8 compiles without its middle tier (Maglev): a flood makes the whole loop hot at once, the functions
 * that wait for that compiler hold up to 170 MB, and what the allocator was given it keeps. The tier above it takes 5 MB, and comes a little later.
 */
export function boundHeapGrowth(): void {
  v8.setFlagsFromString(`--heap-growing-percent=${heapGrowthPercentMax}`)
  v8.setFlagsFromString('--no-maglev')
}

/** Most bytes that V8 lets its heap grow to. */
export function heapBytesMax(): number {
  return v8.getHeapStatistics().heap_size_limit
}
