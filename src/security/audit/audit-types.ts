/** Everything that the audit tells. `repeated`: how many more of the same there were since the last record about it. */
import { defineAuditTypes } from '../../base/audit-def.ts'

const actor = { principal: 'string', client: 'string' } as const
const change = { ...actor, outcome: 'string', detail: 'string', repeated: 'number' } as const

export const auditTypes = defineAuditTypes({
  started: {
    type: 'headwater.audit.started',
    says: 'The chain begins here.',
    subject: 'audit',
    fields: {},
  },
  resumed: {
    type: 'headwater.audit.resumed',
    says: 'The chain goes on after a stop. After an unclean one the last moments may be missing; what is known to be missing is named.',
    subject: 'audit',
    fields: {
      clean: 'boolean',
      bytesCut: 'number',
      missingInFile: 'string',
      missingInTopic: 'string',
      disagreement: 'string',
    },
  },
  stopped: {
    type: 'headwater.audit.stopped',
    says: 'A clean stop: everything before it is kept.',
    subject: 'audit',
    fields: {},
  },
  lost: {
    type: 'headwater.audit.lost',
    says: 'Records that could not be kept, because the disk did not take them or there were too many at once.',
    subject: 'audit',
    fields: { records: 'number' },
  },
  authenticated: {
    type: 'headwater.authentication.succeeded',
    says: 'A client has proved who it is.',
    subject: 'the principal',
    fields: { ...actor, mechanism: 'string', repeated: 'number' },
  },
  refused: {
    type: 'headwater.authentication.failed',
    says: 'A client has not proved who it says it is.',
    subject: 'the principal that was claimed',
    fields: { ...actor, mechanism: 'string', reason: 'string', repeated: 'number' },
  },
  denied: {
    type: 'headwater.authorization.denied',
    says: 'A principal has asked for what its access control entries do not allow.',
    subject: 'the resource',
    fields: { ...actor, operation: 'string', repeated: 'number' },
  },
  topicCreated: {
    type: 'headwater.topic.created',
    says: 'A topic was asked for.',
    subject: 'the topic',
    fields: change,
  },
  topicDeleted: {
    type: 'headwater.topic.deleted',
    says: 'The deletion of a topic was asked for.',
    subject: 'the topic',
    fields: change,
  },
  topicGrown: {
    type: 'headwater.topic.grown',
    says: 'More partitions of a topic were asked for.',
    subject: 'the topic',
    fields: change,
  },
  recordsDeleted: {
    type: 'headwater.records.deleted',
    says: 'The deletion of the oldest records of partitions was asked for.',
    subject: 'the topic',
    fields: change,
  },
  groupDeleted: {
    type: 'headwater.group.deleted',
    says: 'The deletion of a consumer group, or of its offsets of topics, was asked for.',
    subject: 'the group',
    fields: change,
  },
  configChanged: {
    type: 'headwater.config.changed',
    says: 'A change of settings was asked for. Values of settings that are not known are left out.',
    subject: 'what the settings are of',
    fields: change,
  },
  aclCreated: {
    type: 'headwater.acl.created',
    says: 'An access control entry was asked for.',
    subject: 'the resource',
    fields: change,
  },
  aclDeleted: {
    type: 'headwater.acl.deleted',
    says: 'The removal of access control entries was asked for.',
    subject: 'the resource of the filter',
    fields: change,
  },
  userChanged: {
    type: 'headwater.user.changed',
    says: 'A change of SCRAM credentials was asked for.',
    subject: 'the user',
    fields: change,
  },
  quotaChanged: {
    type: 'headwater.quota.changed',
    says: 'A change of quotas was asked for.',
    subject: 'whose quotas',
    fields: change,
  },
  tokenCreated: {
    type: 'headwater.token.created',
    says: 'A token of the HTTP listener was made.',
    subject: 'the id of the token',
    fields: change,
  },
  tokenRevoked: {
    type: 'headwater.token.revoked',
    says: 'A token of the HTTP listener was revoked.',
    subject: 'the id of the token',
    fields: change,
  },
  nodeSetUp: {
    type: 'headwater.node.set-up',
    says: 'Set-up has closed listeners to whoever has no name.',
    subject: 'the principal of the admin',
    fields: change,
  },
  certificateReplaced: {
    type: 'headwater.certificate.replaced',
    says: 'A listener has a new certificate.',
    subject: 'the listener',
    fields: { detail: 'string' },
  },
  certificateRefused: {
    type: 'headwater.certificate.refused',
    says: 'A new certificate of a listener could not be used, and the old one stays.',
    subject: 'the listener',
    fields: { detail: 'string' },
  },
})
