/** A node whose clients are there and say nothing: what it writes, and how often it asks for a flush. */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { hasPrograms } from '../../test/interop/foreign.ts'
import type { BenchCase } from '../case.ts'
import { batchOf, KafkaLoad, settled } from '../load.ts'
import { writtenBytes } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

/** Calls that change a file or make it durable; sockets are served by others. */
const calls = 'fsync,fdatasync,syncfs,sync_file_range,pwrite64,pwritev,ftruncate,fallocate,rename,unlink,mkdir,openat'

export const idleNode: BenchCase = {
  name: 'idle-node',
  missing: () => hasPrograms('strace'),
  async run(context) {
    const idleMs = 60_000 * context.scale
    mkdirSync(context.folder, { recursive: true })
    const node = await headwaterPeer(join(context.folder, 'node'))
    const load = await KafkaLoad.open(node.bootstrap)
    const topic = await load.createTopic('before', 100)
    await load.run({ topic, batch: batchOf(1_000), batchesPerRequest: 100, inFlight: 1, requests: 20 })
    const sockets = Array.from({ length: 50 }, () => {
      const [host = '', port = ''] = node.bootstrap.split(':')
      return connect(Number(port), host)
    })
    // What was written is still on its way to the medium.
    await settled(10_000)
    const file = join(context.folder, 'calls')
    const tracer = spawn('strace', ['-f', '-qq', '-e', `trace=${calls}`, '-o', file, '-p', String(node.pid)], {
      stdio: 'ignore',
    })
    const traced = new Promise<void>((resolve) => tracer.once('exit', () => resolve()))
    await settled(1_000)
    const before = writtenBytes(node.pid)
    await settled(idleMs)
    const bytes = writtenBytes(node.pid) - before
    tracer.kill('SIGINT')
    await traced
    const lines = readFileSync(file, 'utf8').split('\n')
    const flushes = lines.filter((line) => /\b(fsync|fdatasync|syncfs|sync_file_range)\(/.test(line)).length
    const changes = lines.filter((line) =>
      /\b(pwrite64|pwritev|ftruncate|fallocate|rename|unlink|mkdir)\(|O_(CREAT|TRUNC)/.test(line),
    ).length
    for (const socket of sockets) socket.destroy()
    await load.close()
    await node.stop()
    const note = `${idleMs / 1000} s with ${sockets.length + 1} connections and ${topic.partitions} partitions that had traffic before; a simulated hour is a test of the log`
    return {
      figures: [
        { name: 'bytes written while idle', unit: 'B', value: bytes, reach: { atMost: 0 }, note },
        { name: 'flushes while idle', unit: '', value: flushes, reach: { atMost: 0 } },
        { name: 'calls that change a file while idle', unit: '', value: changes, reach: { atMost: 0 } },
      ],
    }
  },
}
