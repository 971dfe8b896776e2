/** A directory that the crash suite has left is shown to Apache Kafka, and then to Headwater again. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../interop/case.ts'
import { startHeadwater } from '../interop/headwater.ts'
import { dumpedByKafka, openedByKafka } from '../interop/kafka-opens.ts'
import type { Judgement } from './history.ts'
import { createLoadTopics, fillTopics, hurriedSettings } from './loads.ts'

export interface Place {
  /** For what the foreign programs write. */
  readonly folder: string
  /** Left cleanly by a daemon that has stopped. */
  readonly dataDir: string
}

/** `check` reads a broker and throws. Answers figures; throws when anybody complains. */
export async function shownToKafka(place: Place, check: (bootstrap: string) => Promise<void>): Promise<string> {
  const dumped = await dumpedByKafka(place.dataDir)
  await openedByKafka(place, check)
  const daemon = await startHeadwater({ dataDir: place.dataDir })
  try {
    await check(daemon.kafka)
  } finally {
    await daemon.stop()
  }
  return `Apache Kafka read ${dumped.files} files of ${(dumped.bytes / 1e6).toFixed(0)} MB, opened the directory, and left it readable`
}

export interface FilledParts {
  readonly folder: string
  readonly python: string
  readonly bytes: number
}

/** Fills a directory with that much, half of it in a topic that is compacted meanwhile, and stops. Answers how to judge a broker on it. */
export async function filledDirectory(
  parts: FilledParts,
): Promise<{ readonly dataDir: string; judge(bootstrap: string): Promise<Judgement> }> {
  const { folder, python, bytes } = parts
  const dataDir = join(folder, 'data')
  const configFile = join(folder, 'headwater.yaml')
  mkdirSync(folder, { recursive: true })
  writeFileSync(configFile, hurriedSettings)
  const daemon = await startHeadwater({ dataDir, configFile, logFile: join(folder, 'daemon.log') })
  try {
    createLoadTopics(Number(daemon.kafka.split(':')[1]))
    const judge = await fillTopics({ python, kafka: daemon.kafka, ackedFile: join(folder, 'acked') }, bytes)
    const cleaned = join(dataDir, 'log', 'cleaner-offset-checkpoint')
    const isCompacted = (): boolean => existsSync(cleaned) && /^latest \d+ [1-9]/m.test(readFileSync(cleaned, 'utf8'))
    await until(isCompacted, 120_000, 'a pass of the compaction')
    return { dataDir, judge }
  } finally {
    await daemon.stop()
  }
}
