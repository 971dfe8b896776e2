import { expect, test } from 'vitest'
import { BrokerSettings } from '../src/cluster/metadata/broker-config.ts'
import { compactionSettings } from '../src/log-settings.ts'

test('what compaction may take is what the settings say by now', () => {
  const settings = new BrokerSettings(new Map([['log.cleaner.backoff.ms', '7']]))
  const options = compactionSettings(settings)
  expect([options.backoffMs, options.mapBytesMax, options.bytesPerSecond]).toEqual([7, 16_777_216, 16_777_216])
  const changed = new Map([
    ['log.cleaner.backoff.ms', '8'],
    ['log.cleaner.dedupe.buffer.size', '65536'],
    ['log.cleaner.io.max.bytes.per.second', '1.5E8'],
  ])
  settings.useDynamic((name) => changed.get(name))
  expect([options.backoffMs, options.mapBytesMax, options.bytesPerSecond]).toEqual([8, 65_536, 150_000_000])
})
