/** Settings of the log that can be changed while the node runs, each read when it is needed. */
import type { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { CompactionOptions } from './log/compaction/compaction-options.ts'

/** `log.cleaner.*` as they are by now. */
export function compactionSettings(settings: BrokerSettings): CompactionOptions {
  return {
    get backoffMs() {
      return settings.number('log.cleaner.backoff.ms')
    },
    get mapBytesMax() {
      return settings.number('log.cleaner.dedupe.buffer.size')
    },
    get bytesPerSecond() {
      return settings.number('log.cleaner.io.max.bytes.per.second')
    },
  }
}
