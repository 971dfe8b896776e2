/** A cluster of one node on a simulated host. */
import type { Ports } from '../../src/base/ports.ts'
import { Cluster } from '../../src/cluster/cluster.ts'
import { BrokerSettings } from '../../src/cluster/metadata/broker-config.ts'
import type { NodeBudget } from '../../src/cluster/metadata/topic-budget.ts'
import type { TopicCreation, TopicOutcome } from '../../src/cluster/metadata/metadata-controller.ts'
import type { TopicImage } from '../../src/cluster/metadata/metadata-image.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import type { SimHost } from '../sim/host.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'

export interface ClusterWorld {
  readonly world: SimWorld
  readonly host: SimHost
}

/** One life of the node. */
export interface ClusterLife {
  readonly cluster: Cluster
  readonly directory: LogDirectory
  readonly ports: Ports
  readonly settings: BrokerSettings
}

export function clusterWorld(seed = 11): ClusterWorld {
  const world = simWorld(seed)
  return { world, host: world.host('edge') }
}

/** Boots the host and opens the cluster on its disk. */
export async function startCluster(
  { world, host }: ClusterWorld,
  written: Readonly<Record<string, string>> = {},
  budget: () => NodeBudget | null = () => null,
): Promise<ClusterLife> {
  const ports = host.boot()
  const settings = new BrokerSettings(new Map(Object.entries(written)))
  const directory = await world.settle(LogDirectory.open({ dataDir: '/data', nodeId: 1 }, ports))
  const cluster = await world.settle(
    Cluster.open({
      directory,
      settings,
      ports,
      isInternal: (topic) => topic.startsWith('__'),
      endPoints: [{ name: 'PLAINTEXT', host: 'edge', port: 9092, securityProtocol: 0 }],
      budget,
    }),
  )
  return { cluster, directory, ports, settings }
}

/** A clean stop of the process. */
export async function stopCluster({ world, host }: ClusterWorld, { cluster, directory }: ClusterLife): Promise<void> {
  await world.settle(cluster.stop())
  await world.settle(directory.close())
  host.kill()
}

export function creationOf(name: string, fields: Partial<TopicCreation> = {}): TopicCreation {
  return {
    name,
    partitions: -1,
    replicationFactor: -1,
    assignments: [],
    configs: new Map(),
    owner: 'client',
    ...fields,
  }
}

/** The topic of an outcome that must be good. */
export function topicOf(outcome: TopicOutcome): TopicImage {
  if (outcome.kind !== 'done') throw new Error(`refused: ${outcome.error} ${outcome.message}`)
  return outcome.topic
}

/** `ok`, or the error's name. */
export function wordOf(outcome: TopicOutcome): string {
  return outcome.kind === 'done' ? 'ok' : outcome.error
}
