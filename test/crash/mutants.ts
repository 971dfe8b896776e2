/** Deliberate bugs: each breaks one law in a copy of the source, and the checker must notice. */
import type { SourceMutant } from '../interop/mutated-source.ts'

export interface Mutant extends SourceMutant {
  /** The law it breaks. */
  readonly breaks: string
  /** Only a power cut tells it from the real thing. */
  readonly needsPower?: boolean
}

export const mutants: readonly Mutant[] = [
  {
    name: 'no-dedup',
    breaks: 'a batch that an idempotent producer sends again is not appended again',
    edits: [
      {
        file: 'src/log/producer-state.ts',
        from: 'if (duplicate !== null) return duplicate\n',
        to: 'if (duplicate !== null) return ok\n',
      },
    ],
  },
  {
    name: 'early-ack',
    breaks: 'nothing is acknowledged before the commit that holds it has completed',
    edits: [
      {
        file: 'src/cluster/partition/partition.ts',
        from: 'this.#wait(waiter, this.highWatermark, ',
        to: 'this.#wait(waiter, this.log.logEndOffset, ',
      },
    ],
  },
  {
    name: 'forgotten-subscription',
    breaks: 'a kept session has its subscriptions after a death',
    edits: [
      {
        file: 'src/ingest/mqtt/session-keeper.ts',
        from: 'of this.state.subscriptions.get(clientId) ?? []',
        to: 'of [] as (readonly [string, never])[]',
      },
    ],
  },
  {
    name: 'forgotten-will',
    breaks: 'a will is published also when the daemon goes with its connection',
    edits: [
      {
        file: 'src/ingest/mqtt/mqtt-door.ts',
        from: 'this.wills.fire(stored.will, endsInMs)',
        to: "this.wills.dueMs('')",
      },
    ],
  },
  {
    name: 'forgotten-retained',
    breaks: 'a retained message survives',
    edits: [
      {
        file: 'src/ingest/mqtt/retained-keeper.ts',
        from: 'this.store.set(name, { topic, payload, headers, expiresMs })\n    })',
        to: 'this.store.remove(name)\n    })',
      },
    ],
  },
  {
    name: 'no-sync',
    breaks: 'what is acknowledged is on the medium',
    needsPower: true,
    edits: [
      {
        file: 'src/node/writer.js',
        from: 'timedSync(() => fs.fdatasyncSync(descriptor.fd))',
        to: 'timedSync(() => undefined)',
      },
      { file: 'src/node/writer.js', from: 'timedSync(() => fs.fsyncSync(fd))', to: 'timedSync(() => undefined)' },
    ],
  },
]
