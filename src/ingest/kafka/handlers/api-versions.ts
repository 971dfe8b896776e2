/**
 * ApiVersions 0-4: what this broker answers. The versions offered are those of the handlers' table, so nothing is announced that
 * is not served (but see Produce below). A request of an unknown version is answered in version 0 with error 35 and the range of
 * ApiVersions itself, by which the client finds one that we share (KIP-511).
 *
 * Not here: ZkMigrationReady (there is no ZooKeeper to migrate from).
 */
import { type KafkaApi, kafkaApis } from '../../../protocol/kafka/apis.ts'
import { errorCode } from '../../../protocol/kafka/error-codes.ts'
import type { ApiVersionsRequest, ApiVersionsResponseInput } from '../../../protocol/kafka/messages/api-versions.ts'
import type { ClusterFeatures } from '../door-options.ts'
import type { KafkaHandler } from '../handler.ts'
import { PendingRequest } from '../request-context.ts'

export const apiVersionsKey = 18
const produceKey = 0

/** KIP-511: letters and digits, with dots and hyphens between them. */
const softwarePattern = /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/
/** First version that tells the client's name. */
const softwareVersionMin = 3
/** First version that can tell of a feature whose lowest level is 0 (KAFKA-17011). */
const zeroFeatureVersionMin = 4

export interface ApiVersionsFacts {
  /** The APIs that are served. */
  readonly served: (apiKey: number) => boolean
  readonly features: () => ClusterFeatures
}

export function apiVersionsHandler(
  facts: ApiVersionsFacts,
): KafkaHandler<ApiVersionsRequest, ApiVersionsResponseInput> {
  const rows = kafkaApis.filter(({ key }) => facts.served(key)).map(offered)
  return (request, context) => {
    const { apiVersion } = context
    if (
      apiVersion >= softwareVersionMin &&
      !(softwarePattern.test(request.clientSoftwareName) && softwarePattern.test(request.clientSoftwareVersion))
    )
      return { errorCode: errorCode('INVALID_REQUEST') }
    if (context instanceof PendingRequest) context.security.versionsTold()
    const { epoch, supported, finalized } = facts.features()
    return {
      apiKeys: rows,
      supportedFeatures: supported.filter(({ minVersion }) => minVersion > 0 || apiVersion >= zeroFeatureVersionMin),
      finalizedFeaturesEpoch: epoch,
      finalizedFeatures: finalized.map(({ name, level }) => ({ name, maxVersionLevel: level, minVersionLevel: level })),
    }
  }
}

/** The answer, in version 0, to a version that is not served. */
export function refuseApiVersions(api: KafkaApi): ApiVersionsResponseInput {
  return { errorCode: errorCode('UNSUPPORTED_VERSION'), apiKeys: [offered(api)] }
}

function offered({ key, minVersion, maxVersion }: KafkaApi): {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
} {
  // Old librdkafka reads its codecs from the presence of Produce 0 to 2 (KAFKA-18659); nobody sends them.
  return { apiKey: key, minVersion: key === produceKey ? 0 : minVersion, maxVersion }
}
