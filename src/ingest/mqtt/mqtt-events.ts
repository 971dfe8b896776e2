import { defineEvents } from '../../base/event-def.ts'

/** What the MQTT door reports. */
export const mqttEvents = defineEvents({
  clientRefused: {
    id: 'mqtt-client-refused',
    level: 'info',
    sentence: 'MQTT client at {remoteHost} was refused: {reason}',
    fields: { remoteHost: 'string', reason: 'string' },
  },
  connectionRefused: {
    id: 'mqtt-connection-refused',
    level: 'warn',
    sentence: 'an MQTT connection of {remoteHost} is beyond a limit: {reason}',
    fields: { remoteHost: 'string', reason: 'string' },
  },
  clientFaulted: {
    id: 'mqtt-client-faulted',
    level: 'warn',
    sentence: 'MQTT client "{clientId}" at {remoteHost} was disconnected: {reason}',
    fields: { clientId: 'string', remoteHost: 'string', reason: 'string' },
  },
  notRetained: {
    id: 'mqtt-not-retained',
    level: 'warn',
    sentence: 'MQTT client "{clientId}" publishes a message to be retained under "{topic}", which is refused: {reason}',
    fields: { clientId: 'string', topic: 'string', reason: 'string' },
  },
  stateUnreadable: {
    id: 'mqtt-state-unreadable',
    level: 'error',
    sentence:
      'state of MQTT clients in {topic}-{partition} cannot be read from offset {fromOffset} on: what was kept there is missing',
    fields: { topic: 'string', partition: 'number', fromOffset: 'number' },
  },
  topicRefused: {
    id: 'mqtt-topic-refused',
    level: 'warn',
    sentence: 'MQTT topic "{topic}" cannot be stored: {reason}',
    fields: { topic: 'string', reason: 'string' },
  },
  topicUnrouted: {
    id: 'mqtt-topic-unrouted',
    level: 'warn',
    sentence: 'MQTT topic "{topic}" goes to the last-resort topic {kafkaTopic}: {reason}',
    fields: { topic: 'string', kafkaTopic: 'string', reason: 'string' },
  },
  appendFailed: {
    id: 'mqtt-append-failed',
    level: 'error',
    sentence: 'messages of MQTT clients could not be committed: {reason}',
    fields: { reason: 'string' },
  },
  subscriberDropping: {
    id: 'mqtt-subscriber-dropping',
    level: 'warn',
    sentence: 'messages for MQTT client "{clientId}" are dropped ({reason}); the log still has them',
    fields: { clientId: 'string', reason: 'string' },
  },
  sessionEvicted: {
    id: 'mqtt-session-evicted',
    level: 'warn',
    sentence: 'the kept session of MQTT client "{clientId}" was ended to make room: {sessionsMax} are kept at most',
    fields: { clientId: 'string', sessionsMax: 'number' },
  },
  deliveryGap: {
    id: 'mqtt-delivery-gap',
    level: 'warn',
    sentence: 'delivery from {topic}-{partition} skipped from offset {fromOffset} to {toOffset}: {reason}',
    fields: { topic: 'string', partition: 'number', fromOffset: 'number', toOffset: 'number', reason: 'string' },
  },
  payloadRefused: {
    id: 'mqtt-payload-refused',
    level: 'warn',
    sentence: 'MQTT client "{clientId}" publishes a payload to "{topic}" that its schema refuses: {reason}',
    fields: { clientId: 'string', topic: 'string', reason: 'string' },
  },
  sparkplugUndecoded: {
    id: 'mqtt-sparkplug-undecoded',
    level: 'warn',
    sentence: 'a Sparkplug message of MQTT client "{clientId}" to "{topic}" is stored, and not decoded: {reason}',
    fields: { clientId: 'string', topic: 'string', reason: 'string' },
  },
  sparkplugUnnamed: {
    id: 'mqtt-sparkplug-unnamed',
    level: 'warn',
    sentence:
      'a Sparkplug message of MQTT client "{clientId}" to "{topic}" is decoded without names: {reason}; a rebirth of the edge node gives them',
    fields: { clientId: 'string', topic: 'string', reason: 'string' },
  },
  commandInvalid: {
    id: 'mqtt-command-invalid',
    level: 'warn',
    sentence: 'MQTT command route {route} passes over {topic}-{partition} at offset {offset}: {reason}',
    fields: { route: 'string', topic: 'string', partition: 'number', offset: 'number', reason: 'string' },
  },
  commandsHeld: {
    id: 'mqtt-commands-held',
    level: 'warn',
    sentence:
      'MQTT command route {route} reads no further in {topic}-{partition}: {waiting} commands wait for a subscriber or for their expiry',
    fields: { route: 'string', topic: 'string', partition: 'number', waiting: 'number' },
  },
  commandOffsetUnknown: {
    id: 'mqtt-command-offset-unknown',
    level: 'error',
    sentence:
      'offsets of MQTT command route {route} cannot be read or written ({reason}): after a start it begins with what is new',
    fields: { route: 'string', reason: 'string' },
  },
  subscriptionRefused: {
    id: 'mqtt-subscription-refused',
    level: 'warn',
    sentence: 'MQTT client "{clientId}" may not subscribe to "{filter}": {reason}',
    fields: { clientId: 'string', filter: 'string', reason: 'string' },
  },
  subscriberOvertaken: {
    id: 'mqtt-subscriber-overtaken',
    level: 'warn',
    sentence:
      'MQTT subscriber "{subscriber}" misses records of {topic}-{partition} from offset {fromOffset} to {toOffset}: {reason}',
    fields: {
      subscriber: 'string',
      topic: 'string',
      partition: 'number',
      fromOffset: 'number',
      toOffset: 'number',
      reason: 'string',
    },
  },
  sessionsRestored: {
    id: 'mqtt-sessions-restored',
    level: 'info',
    sentence: '{sessions} MQTT sessions go on from the last run',
    fields: { sessions: 'number' },
  },
  packetIdsReplayed: {
    id: 'mqtt-packet-ids-replayed',
    level: 'info',
    sentence: '{packetIds} packet ids of unfinished QoS 2 messages were read back',
    fields: { packetIds: 'number' },
  },
})
