/** Figures in, Prometheus text out, as prom-client writes it and promtool accepts it. */
import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { Exposition } from '../../src/admin/exposition.ts'
import { MetricStore } from '../../src/admin/metric-store.ts'
import { observerMetrics } from '../../src/admin/observer-metrics.ts'
import { defineMetrics } from '../../src/base/metric-def.ts'

const metrics = defineMetrics({
  records: { name: 'headwater_test_records_total', kind: 'counter', help: 'Records.', labels: ['topic', 'partition'] },
  level: { name: 'headwater_test_level_ratio', kind: 'gauge', help: 'A level.', labels: [] },
  waits: {
    name: 'headwater_test_wait_seconds',
    kind: 'histogram',
    help: 'Waits.',
    labels: ['api'],
    buckets: [0.01, 0.1, 1],
  },
})

/** Lines of our own metrics. */
async function linesOf(store: MetricStore): Promise<string[]> {
  const text = await new Exposition(store).text()
  return text.split('\n').filter((line) => line.startsWith('headwater_'))
}

describe('metric store', () => {
  it('keeps one series for each set of labels, in any order of the labels', async () => {
    const store = new MetricStore()
    store.add(metrics.records, 2, { topic: 'a', partition: '0' })
    store.add(metrics.records, 3, { partition: '0', topic: 'a' })
    store.add(metrics.records, 1, { topic: 'a', partition: '1' })
    expect(await linesOf(store)).toEqual([
      'headwater_test_records_total{topic="a",partition="0"} 5',
      'headwater_test_records_total{topic="a",partition="1"} 1',
    ])
  })

  it('cumulates the buckets of a histogram, with the bound inside', async () => {
    const store = new MetricStore()
    for (const seconds of [0.01, 0.05, 1, 2]) store.observe(metrics.waits, seconds, { api: 'fetch' })
    expect(await linesOf(store)).toEqual([
      'headwater_test_wait_seconds_bucket{api="fetch",le="0.01"} 1',
      'headwater_test_wait_seconds_bucket{api="fetch",le="0.1"} 2',
      'headwater_test_wait_seconds_bucket{api="fetch",le="1"} 3',
      'headwater_test_wait_seconds_bucket{api="fetch",le="+Inf"} 4',
      'headwater_test_wait_seconds_sum{api="fetch"} 3.06',
      'headwater_test_wait_seconds_count{api="fetch"} 4',
    ])
  })

  it('shows a declared metric before its first use, forgets a removed series, replaces a gauge', async () => {
    const store = new MetricStore()
    store.declare(metrics.level)
    expect(await linesOf(store)).toEqual(['headwater_test_level_ratio 0'])
    store.set(metrics.level, 0.5)
    store.set(metrics.level, 0.25)
    store.add(metrics.records, 1, { topic: 'gone', partition: '0' })
    store.remove(metrics.records, { topic: 'gone', partition: '0' })
    expect(await linesOf(store)).toEqual(['headwater_test_level_ratio 0.25'])
  })

  it('refuses series beyond its bound and counts the refusals', () => {
    const store = new MetricStore()
    for (let index = 0; index < 20_005; index++) store.add(metrics.records, 1, { topic: `t${index}`, partition: '0' })
    expect(store.metrics().get(metrics.records)?.size).toBe(20_000)
    expect(store.metrics().get(observerMetrics.seriesRefused)?.get('')?.value).toBe(5)
  })

  it('escapes label values that came from a client', async () => {
    const store = new MetricStore()
    store.add(metrics.records, 1, { topic: 'a"b\\c\nd', partition: '0' })
    expect(await linesOf(store)).toEqual([String.raw`headwater_test_records_total{topic="a\"b\\c\nd",partition="0"} 1`])
  })

  const hasPromtool = spawnSync('promtool', ['--version']).status === 0
  it.skipIf(!hasPromtool)('writes what promtool check metrics finds no fault with', async () => {
    const store = new MetricStore()
    store.add(metrics.records, 2, { topic: 'a', partition: '0' })
    store.observe(metrics.waits, 0.5, { api: 'fetch' })
    store.declare(metrics.level)
    const outcome = spawnSync('promtool', ['check', 'metrics'], {
      input: await new Exposition(store).text(),
      encoding: 'utf8',
    })
    expect(outcome.stdout + outcome.stderr).toBe('')
    expect(outcome.status).toBe(0)
  })
})
