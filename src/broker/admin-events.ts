import { defineEvents } from '../base/event-def.ts'

/** How a topic was made that a client has asked for; the audit hears of it from the door. */
export const createdByClient = 'by a client'

/** What clients have changed of the cluster. */
export const adminEvents = defineEvents({
  topicCreated: {
    id: 'topic-created',
    level: 'info',
    sentence: 'created the topic {topic} with {partitions} partitions ({how})',
    fields: { topic: 'string', partitions: 'number', how: 'string' },
  },
  topicGrown: {
    id: 'topic-grown',
    level: 'info',
    sentence: 'the topic {topic} has {partitions} partitions now',
    fields: { topic: 'string', partitions: 'number' },
  },
  topicDeleted: {
    id: 'topic-deleted',
    level: 'info',
    sentence: 'deleted the topic {topic} ({topicId})',
    fields: { topic: 'string', topicId: 'string' },
  },
  topicNotAutoCreated: {
    id: 'topic-not-auto-created',
    level: 'warn',
    sentence: 'the topic {topic} was asked for and not created: {reason}',
    fields: { topic: 'string', reason: 'string' },
  },
  configsChanged: {
    id: 'configs-changed',
    level: 'info',
    sentence: 'settings of {resource} have changed: {keys}',
    fields: { resource: 'string', keys: 'string' },
  },
  credentialsChanged: {
    id: 'credentials-changed',
    level: 'info',
    sentence: 'SCRAM credentials of the user "{user}" have changed; there are now: {mechanisms}',
    fields: { user: 'string', mechanisms: 'string' },
  },
  quotasChanged: {
    id: 'client-quotas-changed',
    level: 'info',
    sentence: 'the quotas of {entity} have changed',
    fields: { entity: 'string' },
  },
  aclCreated: {
    id: 'acl-created',
    level: 'info',
    sentence: 'access control entry added: {entry}',
    fields: { entry: 'string' },
  },
  aclDeleted: {
    id: 'acl-deleted',
    level: 'info',
    sentence: 'access control entry removed: {entry}',
    fields: { entry: 'string' },
  },
})
