/** What is remembered of the topics in a stretch of the log: it may say too much, seldom, and never too little. */
import { describe, expect, it } from 'vitest'
import { filterMatches } from '../../../src/protocol/mqtt/topic-filter.ts'
import { LogSummaries } from '../../../src/ingest/mqtt/log-summaries.ts'
import { hashTopic } from '../../../src/ingest/mqtt/route-cache.ts'
import {
  probeOf,
  SummaryEntries,
  type SummarizedTopic,
  summaryEntriesMax,
  unsummarized,
} from '../../../src/ingest/mqtt/topic-summary.ts'
import type { Partition } from '../../../src/cluster/partition/partition.ts'
import { Prng } from '../../sim/prng.ts'

function topicOf(text: string): SummarizedTopic {
  const topic = Buffer.from(text)
  return { topic, topicHash: hashTopic(topic, 0, topic.length), ...unsummarized }
}

/** Few names, so that much matches; ten levels, more than are told apart. */
function randomTopic(prng: Prng): string {
  return Array.from({ length: prng.between(1, 10) }, () => prng.pick(['a', 'b', 'ü', '', 'long-name'])).join('/')
}

function randomFilter(prng: Prng): string {
  const levels = randomTopic(prng)
    .split('/')
    .map((level) => (prng.chance(0.3) ? '+' : level))
  if (prng.chance(0.4)) levels.push('#')
  const filter = levels.join('/')
  return prng.chance(0.2) ? `$share/group/${filter === '' ? 'x' : filter}` : filter
}

const bare = (filter: string): string => filter.replace(/^\$share\/group\//, '')

describe('a summary of topics', () => {
  it('never denies a topic that is there, whatever the filter (4,000 seeds)', () => {
    let matched = 0
    let denied = 0
    for (let seed = 0; seed < 4000; seed += 1) {
      const prng = new Prng(seed)
      const topics = Array.from({ length: prng.between(1, 4) }, () => randomTopic(prng))
      const entries = new SummaryEntries()
      for (const topic of topics) entries.add(topicOf(topic))
      const summary = entries.close()
      for (let question = 0; question < 10; question += 1) {
        const filter = randomFilter(prng)
        const isThere = topics.some((topic) => filterMatches(bare(filter), topic))
        const says = summary.mayMatch(probeOf(filter))
        if (isThere) matched += 1
        if (!says) denied += 1
        expect(says || !isThere, `${filter} in ${topics.join(' ')}`).toBe(true)
      }
    }
    expect(matched).toBeGreaterThan(2000)
    expect(denied).toBeGreaterThan(2000)
  })

  it('tells apart what differs in one level, wherever the wildcards stand', () => {
    const entries = new SummaryEntries()
    for (const topic of ['site/1/press/temp', 'site/2/oven/temp']) entries.add(topicOf(topic))
    const summary = entries.close()
    const says = (filter: string): boolean => summary.mayMatch(probeOf(filter))
    const yes = ['#', '+/+/press/+', 'site/1/#', 'site/1/press/temp', 'site/+/oven/temp/#', '+/2/#', '$share/g/site/#']
    const no = ['+/+/pump/+', 'site/3/#', 'site/1/press/hum', 'plant/#', '+/3/#', 'site/+/+/hum', '$share/g/plant/#']
    expect([...yes, ...no].filter(says)).toEqual(yes)
  })

  it('says yes in vain at most once in 100,000 questions when it is full', () => {
    const entries = new SummaryEntries()
    for (let device = 0; !entries.isFull; device += 1) entries.add(topicOf(`site/${device}`))
    const summary = entries.close()
    let inVain = 0
    for (let device = 0; device < 300_000; device += 1) if (summary.mayMatch(probeOf(`other/${device}`))) inVain += 1
    expect(inVain).toBeLessThanOrEqual(3)
    expect(summary.sizeInBytes).toBeLessThan(summaryEntriesMax * 4 + 1024)
  })
})

/** Where a log begins is all that is asked of a partition. */
const partition = { log: { logStartOffset: 0 } } as unknown as Partition

describe('summaries of stretches of the log', () => {
  const fill = (summaries: LogSummaries, from: number, to: number, topic: string): void => {
    for (let offset = from; offset < to; offset += 10) {
      const open = summaries.open(partition, 'live', offset)
      for (let at = offset; at < offset + 10; at += 1) open?.note(topicOf(`${topic}/${at}`), at)
      summaries.extend(partition, 'live', offset + 10, 1000)
    }
  }

  it('cover what was read without a gap, and nothing else', () => {
    const summaries = new LogSummaries(1_000_000, 5000)
    fill(summaries, 0, 100, 'a')
    expect([0, 49, 50, 99, 100].map((offset) => summaries.at(partition, offset)?.fromOffset ?? null)).toEqual([
      0,
      0,
      50,
      50,
      null,
    ])
    // A reader that jumps begins anew: what it passed over is not covered.
    fill(summaries, 100, 140, 'a')
    fill(summaries, 200, 250, 'a')
    expect([100, 139, 180, 200, 249].map((offset) => summaries.at(partition, offset)?.fromOffset ?? null)).toEqual([
      null,
      null,
      null,
      200,
      200,
    ])
  })

  it('stay within their bytes, giving up what was of no use for longest', () => {
    const summaries = new LogSummaries(3000, 5000)
    fill(summaries, 0, 50, 'a')
    fill(summaries, 50, 100, 'b')
    expect(summaries.at(partition, 0)).not.toBeNull()
    for (let from = 100; from < 2000; from += 50) {
      fill(summaries, from, from + 50, 'c')
      expect(summaries.sizeInBytes).toBeLessThanOrEqual(3000)
      expect(summaries.at(partition, 0)?.fromOffset ?? null).toBe(0)
    }
    expect(summaries.at(partition, 50)).toBeNull()
    expect(summaries.at(partition, 1990)).not.toBeNull()
  })

  it('remember nothing with a budget of nothing, and forget a partition that is gone', () => {
    const none = new LogSummaries(0, 5000)
    fill(none, 0, 100, 'a')
    expect(none.at(partition, 0)).toBeNull()
    const summaries = new LogSummaries(1_000_000, 5000)
    fill(summaries, 0, 130, 'a')
    summaries.onPartitionsChanged(() => false)
    expect(summaries.at(partition, 0)).toBeNull()
    expect(summaries.sizeInBytes).toBe(0)
  })
})
