/** Deliberate bugs: each breaks one promise in a copy of the source, and the rows it names must notice. */
import type { SourceMutant } from '../interop/mutated-source.ts'

export interface Mutant extends SourceMutant {
  /** Words that choose the rows that must notice. */
  readonly rows: readonly string[]
}

export const mutants: readonly Mutant[] = [
  {
    name: 'believes-lengths',
    rows: ['doors:a frame longer than the bound'],
    edits: [
      {
        file: 'src/protocol/kafka/frame.ts',
        from: 'if (length < 0 || length > this.frameBytesMax) {',
        to: 'if (length < 0) {',
      },
    ],
  },
  {
    name: 'no-crc',
    rows: ['doors:each kind of broken batch'],
    edits: [
      { file: 'src/log/append-validator.ts', from: 'return batchCrcIsValid(batch) ? null', to: 'return true ? null' },
    ],
  },
  {
    name: 'no-connect-deadline',
    rows: ['doors:a CONNECT that comes a byte at a time'],
    edits: [
      {
        file: 'src/ingest/mqtt/connection.ts',
        from: 'options.connectDeadlineMs - openingMs',
        to: 'options.connectDeadlineMs * 100',
      },
    ],
  },
  {
    name: 'connections-without-bound',
    rows: ['doors:connections beyond max.connections'],
    edits: [
      {
        file: 'src/base/connection-gate.ts',
        from: 'this.#open >= limits.connectionsMax()',
        to: 'this.#open >= limits.connectionsMax() * 10',
      },
    ],
  },
  {
    name: 'no-opening-deadline',
    rows: ['listeners:slow beginnings'],
    edits: [{ file: 'src/node/listener.ts', from: 'const openingMs = 10_000', to: 'const openingMs = 10_000_000' }],
  },
  {
    name: 'pongs-without-bound',
    rows: ['listeners:pings of a client that does not read'],
    edits: [
      {
        file: 'src/node/web-socket-connection.ts',
        from: 'if (webSocket.bufferedAmount <= pongBacklogBytesMax) ',
        to: '',
      },
    ],
  },
  {
    name: 'told-without-bound',
    rows: ["listeners:of connections beyond a listener's limit"],
    edits: [{ file: 'src/ingest/mqtt/door-connections.ts', from: 'const toldMax = 64', to: 'const toldMax = 64_000' }],
  },
]
