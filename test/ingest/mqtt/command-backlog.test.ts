/** Commands for a session that was away: their topics are not those of their records, and are in the summaries of the log all the same. */
import { describe, expect, it } from 'vitest'
import { command, commandWorld, take } from './command-world.ts'

const kept = { clean: false, properties: { sessionExpiryInterval: 10_000 } }

describe('commands for a kept session that is behind', () => {
  it('are found in a log of which most is passed over', async () => {
    const world = await commandWorld({ door: { tailReadBytes: 2048, summaryStretchBytes: 4096 } })
    const away = await world.subscribed(['away', 5, kept], 'pump/mine/set')
    away.drop()
    await world.runFor(50)
    const others = async (): Promise<void> => {
      for (let count = 0; count < 300; count += 1) command(world, 'other', 'x'.repeat(60))
      await world.runFor(100)
    }
    command(world, 'mine', 'first')
    await others()
    command(world, 'mine', 'second')
    await others()
    command(world, 'mine', 'third')
    await world.runFor(100)
    expect(await take(world, await world.connect('away', 5, kept), 3)).toEqual(['first', 'second', 'third'])
    expect(world.host.observer.figure('headwater_mqtt_backlog_passed_offsets_total', {}) ?? 0).toBeGreaterThan(200)
  })
})
