/**
 * What a configuration of the right form may still say wrongly: rules, templates and patterns that their rooms refuse. A start would
 * meet them too, one by one and without the line.
 */
import { ApplianceError } from './base/errors.ts'
import type { ApplianceConfig, MqttConfig } from './config.ts'
import type { ConfigFault } from './config-faults.ts'
import { pathText } from './config-names.ts'
import { mqttDoorOptions } from './config-rooms.ts'
import { compileCommandRoutes } from './ingest/mqtt/command-route.ts'
import { TopicMapping } from './ingest/mqtt/topic-mapping.ts'
import { TopicPolicy } from './mirror/topic-policy.ts'

/** Every fault of the rooms; of the rules of one list the first. */
export function roomFaults({ mqtt, mirrors, node }: ApplianceConfig): ConfigFault[] {
  const faults: ConfigFault[] = []
  const judge = (path: readonly PropertyKey[], work: () => void): void => {
    try {
      work()
    } catch (thrown) {
      if (!(thrown instanceof ApplianceError)) throw thrown
      const { position } = thrown.fields
      const at = typeof position === 'number' ? [...path, position - 1] : path
      faults.push({ path: at, sentence: `${pathText(at)}: ${thrown.message}` })
    }
  }
  const { routes, commandRoutes } = mqttDoorOptions(mqtt)
  let mapping = new TopicMapping([])
  judge(['mqtt', 'routes'], () => {
    mapping = new TopicMapping(routes)
  })
  judge(['mqtt', 'commandRoutes'], () => compileCommandRoutes(commandRoutes, mapping))
  faults.push(...decodedTopicFaults(mqtt))
  for (const [index, { name, topics, targetTopic }] of mirrors.entries()) {
    judge(['mirrors', index], () => new TopicPolicy({ name, topics, targetTopic, site: node.site, nodeId: node.id }))
  }
  return faults
}

/** Who reads the topic of Sparkplug's messages as JSON finds nothing else there; and they are no commands. */
function decodedTopicFaults({ routes, commandRoutes, lastResortTopic, sparkplug }: MqttConfig): ConfigFault[] {
  const decodedTopic = sparkplug?.decodedTopic ?? null
  if (decodedTopic === null) return []
  const places: readonly (readonly [path: readonly PropertyKey[], topic: string])[] = [
    ...routes.map(({ topic }, index) => [['mqtt', 'routes', index, 'topic'], topic] as const),
    ...commandRoutes.map(
      ({ kafkaTopic }, index) => [['mqtt', 'commandRoutes', index, 'kafkaTopic'], kafkaTopic] as const,
    ),
    [['mqtt', 'lastResortTopic'], lastResortTopic],
  ]
  return places.flatMap(([path, topic]) =>
    topic === decodedTopic
      ? [{ path, sentence: `${pathText(path)}: ${topic} holds decoded messages alone (mqtt.sparkplug.decodedTopic)` }]
      : [],
  )
}
