import { expect, test } from 'vitest'
import { simWorld } from '../sim/world.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import { appendOne, batchOf, createSmall, done, smallDirectory } from './log-fixture.ts'

test('an idle producer is remembered for as long as the directory says by now', async () => {
  const world = simWorld(1)
  const ports = world.host('edge').boot()
  const options = { producerExpirationMs: 86_400_000 }
  const directory = await world.settle(LogDirectory.open(Object.assign(options, smallDirectory), ports))
  const log = await world.settle(createSmall(directory, 'a'))
  const fields = { producerId: 7, producerEpoch: 0, baseSequence: 0, timestampMs: ports.clock.wallMs() }
  done(appendOne(directory, log, batchOf(['x'], fields)))
  await world.runFor(3_600_000)
  expect(log.producers.get(7)).toBeDefined()
  options.producerExpirationMs = 60_000
  await world.runFor(700_000)
  expect(log.producers.get(7)).toBeUndefined()
  await world.settle(directory.close())
})
