/**
 * Preloaded into a daemon (`NODE_OPTIONS=--import ...`): after each SIGUSR2 it writes the longest blocks of the event loop since the last
 * one to the file that LOOP_DELAY_FILE names. The time in which the thread was ready to run and other processes had the processors is no
 * block of ours: on a busy machine it would be most of what is seen.
 */
import { openSync, readSync, renameSync, writeFileSync } from 'node:fs'
import { createHistogram } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const tickMs = 1
const file = process.env['LOOP_DELAY_FILE']
if (isMainThread && file !== undefined) {
  const histogram = createHistogram()
  const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
  const text = Buffer.alloc(96)
  /** Milliseconds that this thread has waited for a processor so far. */
  const waitedMs = () => Number(text.latin1Slice(0, readSync(schedstat, text, 0, text.length, 0)).split(' ')[1]) / 1e6
  let lastMs = performance.now()
  let lastWaitedMs = waitedMs()
  const tick = () => {
    const nowMs = performance.now()
    const waited = waitedMs()
    const blockedMs = nowMs - lastMs - tickMs - (waited - lastWaitedMs)
    histogram.record(Math.max(1, Math.round(blockedMs * 1e3)))
    lastMs = nowMs
    lastWaitedMs = waited
    setTimeout(tick, tickMs).unref()
  }
  tick()
  process.on('SIGUSR2', () => {
    const ms = (microseconds) => microseconds / 1e3
    const figures = {
      maxMs: ms(histogram.max),
      p999Ms: ms(histogram.percentile(99.9)),
      p99Ms: ms(histogram.percentile(99)),
    }
    writeFileSync(`${file}.part`, JSON.stringify(figures))
    renameSync(`${file}.part`, file)
    histogram.reset()
  })
}
