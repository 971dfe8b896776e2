import { ApplianceError } from '../base/errors.ts'
import { DiskError } from '../base/ports.ts'
import type { Refusal } from '../cluster/metadata/metadata-controller.ts'

/** A disk that fails is an answer; anything else that is thrown is a bug and stays one: it is thrown on. */
export function storageRefusal(thrown: unknown): Refusal {
  if (!(thrown instanceof ApplianceError) && !(thrown instanceof DiskError)) throw thrown
  return { error: 'KAFKA_STORAGE_ERROR', message: thrown.message }
}
