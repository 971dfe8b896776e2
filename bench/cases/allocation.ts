/** Bytes that V8's heap takes for a message, from the lines of `--trace-gc`: what it grew by between one collection and the next. */
import { join } from 'node:path'
import { hasPrograms } from '../../test/interop/foreign.ts'
import { repositoryRoot, sourceCommand } from '../../test/interop/headwater.ts'
import type { BenchCase, Figure } from '../case.ts'
import { run } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'
import { compiled } from '../programs.ts'

const messagesMin = 100_000

export const allocation: BenchCase = {
  name: 'allocation',
  missing: () => hasPrograms('gcc'),
  async run({ folder, scale }) {
    const load = await compiled('mqtt-load')
    const figures: Figure[] = []
    for (const { qos, window, messages } of [
      { qos: 1, window: 100, messages: 400_000 },
      { qos: 0, window: 0, messages: 1_000_000 },
    ]) {
      const heap = new HeapGrowth()
      const command = [...sourceCommand.slice(0, -1), '--trace-gc', join(repositoryRoot, 'src/main.ts')]
      const onLine = (line: string): void => heap.take(line)
      const peer = await headwaterPeer(join(folder, `qos-${qos}`), { command, onLine })
      const count = Math.max(messagesMin, Math.round(messages * scale))
      const publish = (all: number): Promise<unknown> =>
        run(load, [...[peer.host, String(peer.port), '50', String(qos), '100', String(all), String(window)], 'sensors'])
      try {
        // So that the code is compiled, and what is only made once is made.
        await publish(messagesMin)
        const before = heap.bytes
        await publish(count)
        figures.push({
          name: `heap allocated a message, MQTT QoS ${qos}, 50 connections, 100 B`,
          unit: 'B',
          value: (heap.bytes - before) / count,
          reach: null,
        })
      } finally {
        await peer.stop()
      }
    }
    return { figures }
  },
}

/**
 * Adds up what was allocated. `[7:0x5d1] 901 ms: Scavenge 45.1 (60.2) -> 40.3 (60.2) MB` says which heap it is, and what that held before
 * and after. The first heap is that of the loop; the threads have others.
 */
class HeapGrowth {
  bytes = 0
  #heap: string | null = null
  #heldMiB = 0

  take(line: string): void {
    const found = /^\[\d+:(\w+)\].* (\d+\.\d) \(\d+\.\d\) -> (\d+\.\d) \(/.exec(line)
    if (found === null) return
    const [, heap = '', before, after] = found
    this.#heap ??= heap
    if (heap !== this.#heap) return
    this.bytes += Math.max(0, Number(before) - this.#heldMiB) * 1_048_576
    this.#heldMiB = Number(after)
  }
}
