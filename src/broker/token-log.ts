/** Access tokens as records of `__headwater_tokens`: the key is the id, no value means revoked. */
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'
import type { Clock } from '../base/ports.ts'
import { RecordBatchBuilder } from '../protocol/records/record-batch-builder.ts'
import { batchLastOffset, forEachBatch } from '../protocol/records/record-batch.ts'
import { forEachRecord } from '../protocol/records/record.ts'
import { type AccessToken, type AccessTokens, readAccessToken } from '../security/access-tokens.ts'
import type { Broker } from './broker.ts'
import { appendToOwnTopic } from './own-topic.ts'

export const tokensTopic: InternalTopicDefinition = {
  name: '__headwater_tokens',
  partitions: 1,
  configs: { 'cleanup.policy': 'compact', 'segment.bytes': '1048576' },
  readable: false,
  holds: 'Tokens of the HTTP listener: whom each speaks for, its role, when it expires, and a digest of its secret.',
}

const readBytes = 1_048_576

export class TokenLog {
  readonly #broker: Broker
  readonly #clock: Clock
  readonly #tokens: AccessTokens

  constructor(broker: Broker, clock: Clock, tokens: AccessTokens) {
    this.#broker = broker
    this.#clock = clock
    this.#tokens = tokens
  }

  /** Reads what there is. What cannot be read is not known: a token is refused then. */
  async load(): Promise<void> {
    const partition = this.#broker.partitions.get(tokensTopic.name, 0)
    if (partition === undefined) return
    for (let offset = partition.log.logStartOffset; offset < partition.highWatermark; ) {
      const read = await this.#broker.readTailCold(partition, offset, readBytes)
      if (read.kind === 'damaged') {
        offset = Math.max(offset + 1, read.nextOffset)
        continue
      }
      if (read.kind !== 'batches' || read.bytes.length === 0) return
      forEachBatch(read.bytes, (bytes, at) => {
        forEachRecord(bytes, at, ({ key, value }) => this.#replay(key, value))
        offset = batchLastOffset(bytes, at) + 1
      })
    }
  }

  /** Resolves when it is committed, and in force. Rejects with INTERNAL_TOPIC_MISSING. */
  async add(token: AccessToken): Promise<void> {
    const { id, ...value } = token
    await this.#append(id, Buffer.from(JSON.stringify(value)))
    this.#tokens.set(token)
  }

  async revoke(id: string): Promise<void> {
    await this.#append(id, null)
    this.#tokens.delete(id)
  }

  #replay(key: Uint8Array | null, value: Uint8Array | null): void {
    const id = key === null ? '' : Buffer.from(key).toString('utf8')
    const token = value === null ? null : readAccessToken(id, value)
    if (token === null) this.#tokens.delete(id)
    else this.#tokens.set(token)
  }

  async #append(id: string, value: Uint8Array | null): Promise<void> {
    // Also where it is there: an earlier build may have made it with other settings.
    await this.#broker.ensureInternalTopic(tokensTopic)
    const builder = new RecordBatchBuilder()
    builder.append(this.#clock.wallMs(), Buffer.from(id), value, null)
    await appendToOwnTopic(this.#broker, tokensTopic, builder.build())
  }
}
