import type { Partition } from '../../cluster/partition/partition.ts'
import { reasonCodes, reasonName } from '../../protocol/mqtt/reason-codes.ts'
import { type CommitBatch, reasonOf } from './commit-batch.ts'
import type { DoorServices } from './door-services.ts'
import { tellNotRetained } from './not-retained.ts'

/** Where the certificate of a birth message goes. */
export interface CertificatePlace {
  readonly partition: Partition
  /** The MQTT topic, which is the record's key. */
  readonly topic: Uint8Array
}

export interface Certificate {
  readonly clientId: string
  /** Bytes of its own; not empty. */
  readonly payload: Uint8Array
  /** Section of record headers that says retained, QoS 1. */
  readonly headers: Uint8Array
  readonly wallMs: number
}

/**
 * Keeps a birth in the set that the birth itself stands in: as a record, by which it reaches those who subscribe already, and as the retained message for
 * those who will. A birth goes on its way also when its certificate cannot be kept; that is told, and the certificate before it goes: its aliases may mean
 * something else by now.
 */
export function keepCertificate(
  services: Pick<DoorServices, 'retained' | 'counters' | 'observer' | 'eventBudget'>,
  batch: CommitBatch,
  { partition, topic }: CertificatePlace,
  { clientId, payload, headers, wallMs }: Certificate,
): void {
  const error = batch.turn.append(partition, wallMs, topic, payload, headers)
  const fault =
    error === null
      ? services.retained.judge(topic, topic.length + payload.length + headers.length, wallMs)
      : reasonOf(error)
  const verdict =
    fault === reasonCodes.success ? services.retained.set(batch, { topic, payload, headers, wallMs }) : fault
  if (verdict === reasonCodes.success) return
  services.retained.set(batch, { topic, payload: nothing, headers, wallMs })
  services.counters.refuse(reasonName(verdict))
  tellNotRetained(services, clientId, topic, verdict)
}

const nothing = new Uint8Array(0)
