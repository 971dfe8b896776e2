/**
 * The reason codes of MQTT 5.0 (section 2.4), and the six return codes of a 3.1.1 CONNACK (3.2.2.3).
 * A code below 0x80 is a success.
 */
export const reasonCodes = {
  success: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const

export type ReasonName = keyof typeof reasonCodes
export type ReasonCode = (typeof reasonCodes)[ReasonName]

const namesByCode: ReadonlyMap<number, ReasonName> = new Map(
  Object.entries(reasonCodes).map(([name, code]) => [code, name as ReasonName]),
)

/** The name of a reason code, or `unknown` with its number. */
export function reasonName(code: number): string {
  return namesByCode.get(code) ?? `unknown 0x${code.toString(16)}`
}

/** Return codes of CONNACK in 3.1 and 3.1.1. */
export const connectReturnCodes = {
  accepted: 0,
  unacceptableProtocolVersion: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  badUserNameOrPassword: 4,
  notAuthorized: 5,
} as const

/** The 3.1.1 return code that says what a 5.0 reason code says, or null when only closing the connection is left. */
export function connectReturnCode(reason: number): number | null {
  switch (reason) {
    case reasonCodes.success:
      return connectReturnCodes.accepted
    case reasonCodes.unsupportedProtocolVersion:
      return connectReturnCodes.unacceptableProtocolVersion
    case reasonCodes.clientIdentifierNotValid:
      return connectReturnCodes.identifierRejected
    case reasonCodes.serverUnavailable:
    case reasonCodes.serverBusy:
    case reasonCodes.serverShuttingDown:
    case reasonCodes.quotaExceeded:
    case reasonCodes.connectionRateExceeded:
      return connectReturnCodes.serverUnavailable
    case reasonCodes.badUserNameOrPassword:
    case reasonCodes.badAuthenticationMethod:
      return connectReturnCodes.badUserNameOrPassword
    case reasonCodes.notAuthorized:
    case reasonCodes.banned:
      return connectReturnCodes.notAuthorized
    default:
      return null
  }
}
