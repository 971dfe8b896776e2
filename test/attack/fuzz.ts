/** Hostile bytes into the decoders themselves, in a process of their own: a hundred thousand inputs a second, where a socket has a thousand. */
import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { program } from '../interop/case.ts'
import { repositoryRoot } from '../interop/headwater.ts'
import { figures } from './figures.ts'
import type { Group, Row } from './row.ts'

const amount =
  figures.fuzzInputs === null ? ['--seconds', String(figures.fuzzSeconds)] : ['--inputs', String(figures.fuzzInputs)]
const daySeconds = 86_400

export const fuzz: Group = {
  name: 'fuzz',
  open: async () => ({
    rows: [
      {
        name: 'Kafka: frames, requests and SASL messages are read or refused, whatever their bytes, and take four times their size at most',
        run: () => inputs('kafka'),
      },
      {
        name: 'MQTT: packets and PROXY headers are read or refused, whatever their bytes, and take four times their size at most',
        run: () => inputs('mqtt'),
      },
    ] satisfies Row[],
    close: async () => {},
  }),
}

async function inputs(protocol: 'kafka' | 'mqtt'): Promise<void> {
  const words = [join(repositoryRoot, 'tools/with-node'), 'node', '--max-semi-space-size=64']
  const { stdout, stderr, code } = await program(
    'sh',
    [...words, join(repositoryRoot, 'test/attack/fuzz/run.ts'), protocol, ...amount],
    { timeoutMs: figures.fuzzInputs === null ? 60_000 : daySeconds * 1000 },
  )
  assert.equal(code, 0, stdout + stderr)
  console.log(`  ${stdout.trim().split('\n').at(-1)}`)
}
