/** A directory that the crash suite has left is shown to Apache Kafka, and then to Headwater again. */
import { startHeadwater } from '../interop/headwater.ts'
import { dumpedByKafka, openedByKafka } from '../interop/kafka-opens.ts'

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
