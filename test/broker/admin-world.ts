/** The verbs of administration over a cluster of one node on a simulated host. */
import type { InternalTopicDefinition } from '../../src/base/internal-topic-def.ts'
import type { Ports } from '../../src/base/ports.ts'
import { ConfigAdmin } from '../../src/broker/config-admin.ts'
import { InternalTopics } from '../../src/broker/internal-topics.ts'
import { TopicAdmin, type TopicRequest } from '../../src/broker/topic-admin.ts'
import { Cluster } from '../../src/cluster/cluster.ts'
import { BrokerSettings } from '../../src/cluster/metadata/broker-config.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import type { SimHost } from '../sim/host.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'

/** A topic of the node's own in these tests: clients may not read it. */
export const secretTopic: InternalTopicDefinition = {
  name: '__headwater_secret',
  partitions: 3,
  configs: { 'cleanup.policy': 'compact' },
  readable: false,
  holds: 'Nothing.',
}

/** Topics that asking for them may create. */
export const autoTopicsMax = 4

export interface AdminWorld {
  readonly world: SimWorld
  readonly host: SimHost
  readonly ports: Ports
  readonly directory: LogDirectory
  readonly cluster: Cluster
  readonly settings: BrokerSettings
  readonly internalTopics: InternalTopics
  readonly topics: TopicAdmin
  readonly configs: ConfigAdmin
  /** Lets virtual time run until the promise has settled. */
  settle<T>(work: Promise<T>): Promise<T>
}

export function newWorld(seed = 5): { readonly world: SimWorld; readonly host: SimHost } {
  const world = simWorld(seed)
  return { world, host: world.host('edge') }
}

/** Boots the host; a second call on the same host is a second life on the same disk. */
export async function openAdmin(
  { world, host } = newWorld(),
  written: Readonly<Record<string, string>> = {},
): Promise<AdminWorld> {
  const ports = host.boot()
  const settings = new BrokerSettings(new Map(Object.entries(written)))
  const internalTopics = new InternalTopics([secretTopic])
  const directory = await world.settle(LogDirectory.open({ dataDir: '/data', nodeId: 1 }, ports))
  const cluster = await world.settle(
    Cluster.open({
      directory,
      settings,
      ports,
      isInternal: (topic) => internalTopics.isInternal(topic),
      endPoints: [{ name: 'PLAINTEXT', host: 'edge', port: 9092, securityProtocol: 0 }],
    }),
  )
  const { clock, observer } = ports
  const topics = new TopicAdmin({ cluster, settings, clock, observer, internalTopics, autoTopicsMax })
  const configs = new ConfigAdmin({
    cluster,
    settings,
    observer,
    internalTopics,
    nodeId: 1,
    logDirectory: directory.logDirectory,
  })
  const settle = <T>(work: Promise<T>): Promise<T> => world.settle(work)
  return { world, host, ports, directory, cluster, settings, internalTopics, topics, configs, settle }
}

/** Asks for a topic with defaults where nothing else is said. */
export function topicRequest(name: string, fields: Partial<TopicRequest> = {}): TopicRequest {
  return { name, partitions: -1, replicationFactor: -1, assignments: [], configs: new Map(), ...fields }
}

export const patient = { timeoutMs: 60_000, validateOnly: false }
