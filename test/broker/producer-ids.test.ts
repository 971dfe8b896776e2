import { describe, expect, it } from 'vitest'
import { newWorld } from './admin-world.ts'
import { openRecords, type RecordWorld } from './record-world.ts'

async function take(node: RecordWorld, count: number): Promise<readonly number[]> {
  return node.settle(Promise.all(Array.from({ length: count }, () => node.broker.producerIds.next())))
}

describe('producer ids', () => {
  it('are different for all who ask at once, over the ends of blocks', async () => {
    const node = await openRecords()
    const ids = [...(await take(node, 2_500)), ...(await take(node, 1))]
    expect(new Set(ids).size).toBe(2_501)
    expect(Math.min(...ids)).toBeGreaterThanOrEqual(0)
  })

  it('never come again after a power cut or a kill, whenever it comes', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const place = newWorld(seed)
      const chance = place.world.prng
      const given = new Set<number>()
      for (let life = 0; life < 5; life++) {
        const node = await openRecords(place)
        for (let at = chance.below(1_500); at >= 0; at--) {
          void node.broker.producerIds.next().then((id) => {
            expect(given.has(id), `seed ${seed}, id ${id}`).toBe(false)
            given.add(id)
          })
        }
        await place.world.runFor(chance.below(20) / 10)
        if (chance.below(2) === 0) place.host.kill()
        else place.host.powerCut()
      }
      const last = await openRecords(place)
      for (const id of await take(last, 10)) expect(given.has(id), `seed ${seed}, id ${id}`).toBe(false)
      place.host.kill()
    }
  })

  it('are refused to all who wait when the disk fails, and the next one who asks is refused too', async () => {
    const node = await openRecords()
    node.host.failDisk({ operation: 'sync', code: 'EIO' })
    const asked = Array.from({ length: 3 }, () => node.broker.producerIds.next())
    const outcomes = await node.settle(Promise.allSettled(asked))
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await expect(node.settle(node.broker.producerIds.next())).rejects.toThrow()
  })
})
