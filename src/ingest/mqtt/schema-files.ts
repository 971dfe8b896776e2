import { ApplianceError } from '../../base/errors.ts'
import { type Disk, DiskError } from '../../base/ports.ts'
import { mqttErrors } from './mqtt-errors.ts'
import { noPayloadChecks, type PayloadCheck, type PayloadChecks } from './payload-check.ts'
import type { TopicRoute } from './topic-mapping.ts'

/** Larger files are no schema for a payload. */
const fileBytesMax = 262_144

/** Reads and compiles the schemas of the routes. Rejects with ApplianceError MQTT_SCHEMA_INVALID. Without any, the compiler is not even loaded. */
export async function openPayloadSchemas(
  routes: readonly TopicRoute[],
  disk: Pick<Disk, 'readFile'>,
): Promise<PayloadChecks> {
  if (routes.every(({ schema }) => schema == null)) return noPayloadChecks
  const { compilePayloadSchema } = await import('./payload-schema.ts')
  const checks = new Map<number, PayloadCheck>()
  for (const [index, { match, schema: file, schemaPayloadMax }] of routes.entries()) {
    if (file == null) continue
    const refuse = (reason: string): never => {
      throw new ApplianceError(mqttErrors.invalidSchema, { file, position: index + 1, match, reason })
    }
    const bytes = await disk.readFile(file, fileBytesMax).catch((error: unknown) => {
      if (error instanceof DiskError) return refuse(error.message)
      throw error
    })
    if (bytes === null) return refuse('there is no such file')
    const compiled = compilePayloadSchema(new TextDecoder().decode(bytes), schemaPayloadMax ?? 65_536)
    if (typeof compiled === 'string') return refuse(compiled)
    checks.set(index, compiled)
  }
  return checks
}
