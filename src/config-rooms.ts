/** From the configuration to the options of the rooms. Where the file is silent about a bound, the room's own default stands. */
import type { ProxyProtocolOptions, TlsContext } from './base/ports.ts'
import type { ApplianceConfig, DiskConfig, MirrorConfig, MqttConfig } from './config.ts'
import type { MqttListenerOptions } from './ingest/mqtt/listener-options.ts'
import { type MqttDoorOptions, mqttDoorDefaults } from './ingest/mqtt/mqtt-options.ts'
import { type SparkplugOptions, sparkplugRoutes } from './ingest/mqtt/sparkplug.ts'
import type { ScrubOptions } from './log/scrubber.ts'
import type { SpaceOptions } from './log/space-guard.ts'
import { defaultMirrorLimits, type MirrorOptions } from './mirror/mirror-options.ts'

export function spaceOptions(disk: DiskConfig): SpaceOptions {
  const budget = 'share' in disk.budget ? { budgetShare: disk.budget.share } : { budgetBytes: disk.budget.bytes }
  return { ...budget, whenFull: disk.whenFull, ballastBytes: disk.reserve }
}

export function scrubOptions(disk: DiskConfig): ScrubOptions {
  return { bytesPerSecond: disk.scrubRate, everyMs: disk.scrubEvery }
}

export function mqttDoorOptions(mqtt: MqttConfig): MqttDoorOptions {
  return {
    ...mqttDoorDefaults,
    routes: [...mqtt.routes, ...sparkplugRoutes(mqtt.sparkplug)],
    commandRoutes: mqtt.commandRoutes.map(({ messageExpiry, ...route }) => ({
      ...route,
      messageExpiryMs: messageExpiry,
    })),
    sparkplug: sparkplugOptions(mqtt.sparkplug),
    lastResortTopic: mqtt.lastResortTopic,
    checkPayloadFormat: mqtt.checkPayloadFormat,
    keepForSessions: mqtt.keepForSessions,
    autoTopicsMax: mqtt.autoTopicsMax,
    connectionsMax: mqtt.connectionsMax,
    connectionsPerAddressMax: mqtt.connectionsPerAddressMax,
    connectionsPerSecondMax: mqtt.connectionsPerSecondMax,
    connectDeadlineMs: mqtt.connectDeadline,
    packetBytesMax: mqtt.packetMax,
    receiveMaximum: mqtt.receiveMaximum,
    keepAliveSecondsMax: Math.floor(mqtt.keepAliveMax / 1000),
    sessionsMax: mqtt.sessionsMax,
    sessionExpirySecondsMax: Math.floor(mqtt.sessionExpiryMax / 1000),
    subscriptionsPerSessionMax: mqtt.subscriptionsPerSessionMax,
    replaysPerConnectionMax: mqtt.replaysPerConnectionMax,
    retainedBytesMax: mqtt.retainedMax,
    queuedMessagesMax: mqtt.queuedMessagesMax,
    queuedBytesMax: mqtt.queuedMax,
    queuedBytesTotalMax: mqtt.queuedTotalMax,
    uncommittedBytesMax: mqtt.uncommittedMax,
    pendingBytesMax: mqtt.pendingMax,
  }
}

function sparkplugOptions(sparkplug: MqttConfig['sparkplug']): SparkplugOptions | null {
  if (sparkplug === null) return null
  const { decodedPayloadMax: decodedPayloadBytesMax, ...rest } = sparkplug
  return { ...rest, decodedPayloadBytesMax }
}

/** Options of a listener of the MQTT door; `name` stands in logs and figures. */
export function mqttListenerOptions(
  listener: ApplianceConfig['listeners']['mqtt'][number],
  name: string,
  tls: TlsContext | null,
): MqttListenerOptions {
  return {
    name,
    tls,
    authentication: listener.authentication,
    saslMechanisms: listener.saslMechanisms,
    webSocket: listener.webSocket,
    proxyProtocol: proxyOptions(listener),
    packetBytesMax: listener.packetMax,
    connectionsMax: listener.connectionsMax,
    connectionsPerAddressMax: listener.connectionsPerAddressMax,
    connectionsPerSecondMax: listener.connectionsPerSecondMax,
  }
}

export function proxyOptions(listener: {
  readonly proxyProtocol: 'off' | 'required'
  readonly proxyProtocolFrom: readonly string[]
}): ProxyProtocolOptions | null {
  return listener.proxyProtocol === 'off' ? null : { from: listener.proxyProtocolFrom }
}

export function mirrorOptions(mirror: MirrorConfig): MirrorOptions {
  return {
    name: mirror.name,
    bootstrapServers: mirror.bootstrapServers,
    topics: mirror.topics,
    targetTopic: mirror.targetTopic,
    startFrom: mirror.startFrom,
    untrustedTimestamps: mirror.untrustedTimestamps,
    security: { tls: mirror.tls, sasl: mirror.sasl },
    limits: {
      ...defaultMirrorLimits,
      windowBytesMax: mirror.window,
      connectTimeoutMs: mirror.connectTimeout,
      requestTimeoutMs: mirror.requestTimeout,
      backOffMsMax: mirror.backOffMax,
    },
  }
}
