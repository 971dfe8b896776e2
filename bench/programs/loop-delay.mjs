/**
 * Preloaded into a daemon (`NODE_OPTIONS=--import ...`): after each SIGUSR2 it writes the longest blocks of the event loop since the last
 * one to the file that LOOP_DELAY_FILE names.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const resolutionMs = 1
const file = process.env['LOOP_DELAY_FILE']
if (isMainThread && file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  delay.enable()
  process.on('SIGUSR2', () => {
    const ms = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - resolutionMs)
    const figures = { maxMs: ms(delay.max), p999Ms: ms(delay.percentile(99.9)), p99Ms: ms(delay.percentile(99)) }
    writeFileSync(`${file}.part`, JSON.stringify(figures))
    renameSync(`${file}.part`, file)
    delay.reset()
  })
}
