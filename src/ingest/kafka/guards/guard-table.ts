/** Every API and the right that it needs. */
import type { MetadataImage } from '../../../cluster/metadata/metadata-image.ts'
import { adminGuards } from './admin-guards.ts'
import type { GuardEntry } from './guard.ts'
import { groupGuards } from './group-guards.ts'
import { metadataGuards } from './metadata-guards.ts'
import { recordGuards } from './record-guards.ts'

export function guardTable(image: MetadataImage): readonly GuardEntry[] {
  return [...recordGuards(image), ...metadataGuards(image), ...groupGuards(), ...adminGuards(image)]
}
