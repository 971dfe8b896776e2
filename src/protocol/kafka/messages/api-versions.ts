/** Kafka API 18, ApiVersions: versions 0 to 4. */
import { array, bool, int16, int32, int64, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Asks what the broker answers: the first request of nearly every client (KIP-35, KIP-511, KIP-584). */
export const ApiVersionsRequest = message({
  name: 'ApiVersionsRequest',
  apiKey: 18,
  versions: '0-4',
  flexible: '3+',
  fields: {
    /** Free of blanks; shown to the operator (KIP-511). */
    clientSoftwareName: string('3+', { ignorable: true }),
    clientSoftwareVersion: string('3+', { ignorable: true }),
  },
})
export type ApiVersionsRequest = InferMessage<typeof ApiVersionsRequest>
export type ApiVersionsRequestInput = InferInput<typeof ApiVersionsRequest>

/** What the broker answers, and the features the cluster runs with. Its header is always version 0, so that any client can read it. */
export const ApiVersionsResponse = message({
  name: 'ApiVersionsResponse',
  apiKey: 18,
  versions: '0-4',
  flexible: '3+',
  fields: {
    /** UNSUPPORTED_VERSION when the version asked for is unknown; the body then is that of version 0. */
    errorCode: int16(),
    /** What this broker answers. */
    apiKeys: array('0+', {
      apiKey: int16(),
      minVersion: int16(),
      maxVersion: int16(),
    }),
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('1+', { ignorable: true }),
    /** Ranges this broker can run with. */
    supportedFeatures: array(
      '3+',
      {
        name: string(),
        minVersion: int16(),
        maxVersion: int16(),
      },
      { tag: 0, ignorable: true },
    ),
    /** Grows with every change of a finalized level; -1 = not known. */
    finalizedFeaturesEpoch: int64('3+', { tag: 1, default: -1, ignorable: true }),
    /** Levels the cluster runs with: clients act on them (transaction.version, group.version ...). */
    finalizedFeatures: array(
      '3+',
      {
        name: string(),
        maxVersionLevel: int16(),
        minVersionLevel: int16(),
      },
      { tag: 2, ignorable: true },
    ),
    /** Only ever true in Kafka 3.x. */
    zkMigrationReady: bool('3+', { tag: 3, ignorable: true }),
  },
})
export type ApiVersionsResponse = InferMessage<typeof ApiVersionsResponse>
export type ApiVersionsResponseInput = InferInput<typeof ApiVersionsResponse>
