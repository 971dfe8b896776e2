/** MQTT 5.0 properties (2.2.2): one table, from which the types, the decoder, the encoder and the checks are derived. */
import { copyBytes } from '../../base/bytes.ts'
import { MqttProtocolError } from './mqtt-protocol-error.ts'
import { variableByteIntegerSize, writeVariableByteInteger } from './packet-types.ts'
import { reasonCodes } from './reason-codes.ts'
import { inspectUtf8, utf8Bytes, utf8Malformed, utf8Text } from './utf8.ts'

/** Where a property may stand. `will` is the second property list of CONNECT. */
export type PropertyPlace =
  | 'connect'
  | 'will'
  | 'connack'
  | 'publish'
  | 'acknowledgement'
  | 'subscribe'
  | 'suback'
  | 'unsubscribe'
  | 'unsuback'
  | 'disconnect'
  | 'auth'

type PropertyType = 'byte' | 'uint16' | 'uint32' | 'variable' | 'binary' | 'string' | 'pair'

interface PropertyDefinition {
  readonly id: number
  readonly type: PropertyType
  readonly places: readonly PropertyPlace[]
  /** A value that the specification calls a Protocol Error although its type allows it. */
  readonly refuses?: 'zero' | 'aboveOne'
}

const message: readonly PropertyPlace[] = ['publish', 'will']
const reasons: readonly PropertyPlace[] = ['connack', 'acknowledgement', 'suback', 'unsuback', 'disconnect', 'auth']

const definitions = {
  payloadFormatIndicator: { id: 0x01, type: 'byte', places: message, refuses: 'aboveOne' },
  messageExpiryInterval: { id: 0x02, type: 'uint32', places: message },
  contentType: { id: 0x03, type: 'string', places: message },
  responseTopic: { id: 0x08, type: 'string', places: message },
  correlationData: { id: 0x09, type: 'binary', places: message },
  subscriptionIdentifier: { id: 0x0b, type: 'variable', places: ['publish', 'subscribe'], refuses: 'zero' },
  sessionExpiryInterval: { id: 0x11, type: 'uint32', places: ['connect', 'connack', 'disconnect'] },
  assignedClientIdentifier: { id: 0x12, type: 'string', places: ['connack'] },
  serverKeepAlive: { id: 0x13, type: 'uint16', places: ['connack'] },
  authenticationMethod: { id: 0x15, type: 'string', places: ['connect', 'connack', 'auth'] },
  authenticationData: { id: 0x16, type: 'binary', places: ['connect', 'connack', 'auth'] },
  requestProblemInformation: { id: 0x17, type: 'byte', places: ['connect'], refuses: 'aboveOne' },
  willDelayInterval: { id: 0x18, type: 'uint32', places: ['will'] },
  requestResponseInformation: { id: 0x19, type: 'byte', places: ['connect'], refuses: 'aboveOne' },
  responseInformation: { id: 0x1a, type: 'string', places: ['connack'] },
  serverReference: { id: 0x1c, type: 'string', places: ['connack', 'disconnect'] },
  reasonString: { id: 0x1f, type: 'string', places: reasons },
  receiveMaximum: { id: 0x21, type: 'uint16', places: ['connect', 'connack'], refuses: 'zero' },
  topicAliasMaximum: { id: 0x22, type: 'uint16', places: ['connect', 'connack'] },
  topicAlias: { id: 0x23, type: 'uint16', places: ['publish'] },
  maximumQos: { id: 0x24, type: 'byte', places: ['connack'], refuses: 'aboveOne' },
  retainAvailable: { id: 0x25, type: 'byte', places: ['connack'], refuses: 'aboveOne' },
  userProperties: {
    id: 0x26,
    type: 'pair',
    places: ['connect', 'subscribe', 'unsubscribe', ...message, ...reasons],
  },
  maximumPacketSize: { id: 0x27, type: 'uint32', places: ['connect', 'connack'], refuses: 'zero' },
  wildcardSubscriptionAvailable: { id: 0x28, type: 'byte', places: ['connack'], refuses: 'aboveOne' },
  subscriptionIdentifiersAvailable: { id: 0x29, type: 'byte', places: ['connack'], refuses: 'aboveOne' },
  sharedSubscriptionAvailable: { id: 0x2a, type: 'byte', places: ['connack'], refuses: 'aboveOne' },
} as const satisfies Readonly<Record<string, PropertyDefinition>>

type PropertyName = keyof typeof definitions
type ValueOf<T extends PropertyType> = T extends 'byte' | 'uint16' | 'uint32' | 'variable'
  ? number
  : T extends 'string'
    ? string
    : T extends 'binary'
      ? Uint8Array
      : readonly UserProperty[]

/** A name and a value, in the order they came; names may repeat. */
export type UserProperty = readonly [name: string, value: string]

/** The properties of one packet; an absent property is undefined. `userProperties` keep their order [MQTT-3.3.2-18]. */
export type MqttProperties = {
  readonly [Name in PropertyName]?: ValueOf<(typeof definitions)[Name]['type']> | undefined
}

/** Identifiers by name, for the code that walks property bytes itself. */
export const propertyIds = Object.fromEntries(
  Object.entries(definitions).map(([name, definition]) => [name, definition.id]),
) as { readonly [Name in PropertyName]: (typeof definitions)[Name]['id'] }

interface PropertyRow extends PropertyDefinition {
  readonly name: PropertyName
}

const rowsById: readonly (PropertyRow | undefined)[] = buildRows()

function buildRows(): readonly (PropertyRow | undefined)[] {
  const rows = new Array<PropertyRow | undefined>(128).fill(undefined)
  for (const [name, definition] of Object.entries(definitions) as [PropertyName, PropertyDefinition][]) {
    rows[definition.id] = { ...definition, name }
  }
  return rows
}

/** What a walk over PUBLISH properties found without building anything: see `scanPublishProperties`. */
export interface PublishPropertyScan {
  /** 0 when there is none. */
  topicAlias: number
  /** True when anything but a topic alias is there. */
  carriesMore: boolean
  /** The payload format indicator says that the payload is UTF-8. */
  claimsText: boolean
}

/**
 * Checks the property list of a PUBLISH in [start, end) completely and fills `scan`; allocates nothing.
 * Throws MqttProtocolError.
 */
export function scanPublishProperties(bytes: Uint8Array, start: number, end: number, scan: PublishPropertyScan): void {
  scan.topicAlias = 0
  scan.carriesMore = false
  scan.claimsText = false
  let seen = 0
  let at = start
  while (at < end) {
    const row = propertyAt(bytes, at, 'publish')
    if (row.id === propertyIds.subscriptionIdentifier) {
      // [MQTT-3.3.4-6]: only a server puts it into a PUBLISH.
      throw new MqttProtocolError(
        reasonCodes.protocolError,
        'a PUBLISH from a client carries a subscription identifier',
      )
    }
    if (row.type !== 'pair') {
      const bit = 1 << (row.id % 32)
      if ((seen & bit) !== 0 && row.id !== propertyIds.topicAlias) repeated(row)
      if (row.id !== propertyIds.topicAlias) seen |= bit
    }
    const valueStart = at + 1
    at = propertyEnd(bytes, valueStart, end, row)
    if (row.id === propertyIds.topicAlias) {
      if (scan.topicAlias !== 0) repeated(row)
      scan.topicAlias = uint16At(bytes, valueStart)
      if (scan.topicAlias === 0) {
        throw new MqttProtocolError(reasonCodes.topicAliasInvalid, 'topic alias 0') // [MQTT-3.3.2-8]
      }
    } else {
      scan.carriesMore = true
      if (row.id === propertyIds.responseTopic) checkResponseTopic(bytes, valueStart + 2, at)
      else if (row.id === propertyIds.payloadFormatIndicator) scan.claimsText = bytes[valueStart] === 1
    }
  }
}

function checkResponseTopic(bytes: Uint8Array, start: number, end: number): void {
  // [MQTT-3.3.2-14]; an empty one is not a topic name [MQTT-4.7.3-1].
  if (end === start || inspectUtf8(bytes, start, end) !== 0) {
    throw new MqttProtocolError(reasonCodes.protocolError, 'the response topic is not a topic name')
  }
}

/** Where user properties are read at once. Elsewhere hardly anybody asks for them, and a stranger's may be thousands. */
const eagerPlaces: readonly PropertyPlace[] = ['publish', 'subscribe']

/**
 * Decodes the properties in [start, end): binary values are copies. User properties of five bytes take seventy as values: outside of PUBLISH
 * and SUBSCRIBE they are checked here and made when they are asked for. Throws MqttProtocolError.
 */
export function decodeProperties(bytes: Uint8Array, start: number, end: number, place: PropertyPlace): MqttProperties {
  const properties: { -readonly [Name in keyof MqttProperties]: MqttProperties[Name] | number | string | Uint8Array } =
    {}
  const isEager = eagerPlaces.includes(place)
  let userProperties: UserProperty[] | undefined
  let hasLate = false
  let at = start
  while (at < end) {
    const row = propertyAt(bytes, at, place)
    const valueStart = at + 1
    at = propertyEnd(bytes, valueStart, end, row)
    if (row.type === 'pair' && !isEager) {
      hasLate = true
      continue
    }
    if (row.type === 'pair') {
      const nameEnd = valueStart + 2 + uint16At(bytes, valueStart)
      userProperties ??= []
      userProperties.push([utf8Text(bytes, valueStart + 2, nameEnd), utf8Text(bytes, nameEnd + 2, at)])
      continue
    }
    if (properties[row.name] !== undefined) repeated(row)
    properties[row.name] = valueAt(bytes, valueStart, at, row.type)
    if (row.id === propertyIds.responseTopic) checkResponseTopic(bytes, valueStart + 2, at)
  }
  if (userProperties !== undefined) properties.userProperties = userProperties
  if (hasLate) addLateUserProperties(properties, copyBytes(bytes, start, end))
  return properties as MqttProperties
}

/** `list` has been checked. */
function addLateUserProperties(properties: object, list: Uint8Array): void {
  let made: UserProperty[] | null = null
  const get = (): readonly UserProperty[] => (made ??= userPropertiesIn(list))
  Object.defineProperty(properties, 'userProperties', { get, enumerable: true })
}

function userPropertiesIn(list: Uint8Array): UserProperty[] {
  const found: UserProperty[] = []
  for (let at = 0; at < list.length; ) {
    const row = rowsById[list[at] as number] as PropertyRow
    const start = at + 1
    at = propertyEnd(list, start, list.length, row)
    if (row.type !== 'pair') continue
    const nameEnd = start + 2 + uint16At(list, start)
    found.push([utf8Text(list, start + 2, nameEnd), utf8Text(list, nameEnd + 2, at)])
  }
  return found
}

function valueAt(bytes: Uint8Array, start: number, end: number, type: PropertyType): number | string | Uint8Array {
  switch (type) {
    case 'byte':
      return bytes[start] as number
    case 'uint16':
      return uint16At(bytes, start)
    case 'uint32':
      return uint32At(bytes, start)
    case 'variable':
      return variableAt(bytes, start, end)
    case 'binary':
      return copyBytes(bytes, start + 2, end)
    default:
      return utf8Text(bytes, start + 2, end)
  }
}

/** The row of the property whose identifier is at `at`. */
function propertyAt(bytes: Uint8Array, at: number, place: PropertyPlace): PropertyRow {
  const id = bytes[at] as number
  const row = rowsById[id]
  // Identifiers are variable byte integers, and all of them are below 128.
  if (row === undefined) throw new MqttProtocolError(reasonCodes.malformedPacket, `unknown property ${id}`)
  if (!row.places.includes(place)) {
    throw new MqttProtocolError(reasonCodes.malformedPacket, `property ${row.name} does not belong here`) // 2.2.2.2
  }
  return row
}

/** The position after the value, which is checked against what remains and against its type. */
function propertyEnd(bytes: Uint8Array, start: number, end: number, row: PropertyRow): number {
  switch (row.type) {
    case 'byte':
      return fixedEnd(bytes, start, end, 1, row)
    case 'uint16':
      return fixedEnd(bytes, start, end, 2, row)
    case 'uint32':
      return fixedEnd(bytes, start, end, 4, row)
    case 'variable': {
      if (variableAt(bytes, start, end) === 0 && row.refuses === 'zero') refused(row)
      let at = start
      while (((bytes[at] as number) & 128) !== 0) at += 1
      return at + 1
    }
    case 'binary':
      return lengthPrefixedEnd(bytes, start, end)
    case 'string':
      return stringEnd(bytes, start, end)
    case 'pair':
      return stringEnd(bytes, stringEnd(bytes, start, end), end)
  }
}

function fixedEnd(bytes: Uint8Array, start: number, end: number, size: number, row: PropertyRow): number {
  if (start + size > end) truncated()
  if (row.refuses === 'aboveOne' && (bytes[start] as number) > 1) refused(row)
  if (row.refuses === 'zero') {
    let sum = 0
    for (let at = start; at < start + size; at += 1) sum |= bytes[at] as number
    if (sum === 0) refused(row)
  }
  return start + size
}

function lengthPrefixedEnd(bytes: Uint8Array, start: number, end: number): number {
  if (start + 2 > end) truncated()
  const valueEnd = start + 2 + uint16At(bytes, start)
  if (valueEnd > end) truncated()
  return valueEnd
}

function stringEnd(bytes: Uint8Array, start: number, end: number): number {
  const valueEnd = lengthPrefixedEnd(bytes, start, end)
  if ((inspectUtf8(bytes, start + 2, valueEnd) & utf8Malformed) !== 0) {
    throw new MqttProtocolError(reasonCodes.malformedPacket, 'a string is not well-formed UTF-8')
  }
  return valueEnd
}

function uint16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function uint32At(bytes: Uint8Array, at: number): number {
  return uint16At(bytes, at) * 65_536 + uint16At(bytes, at + 2)
}

/** A variable byte integer inside [start, end) in its shortest form [MQTT-1.5.5-1]. */
function variableAt(bytes: Uint8Array, start: number, end: number): number {
  let value = 0
  for (let index = 0; index < 4; index += 1) {
    if (start + index >= end) truncated()
    const byte = bytes[start + index] as number
    value += (byte & 127) * 2 ** (7 * index)
    if (byte < 128) {
      if (byte === 0 && index > 0) break
      return value
    }
  }
  throw new MqttProtocolError(reasonCodes.malformedPacket, 'a variable byte integer is not in its shortest form')
}

function truncated(): never {
  throw new MqttProtocolError(reasonCodes.malformedPacket, 'a property is longer than its packet')
}

function repeated(row: PropertyRow): never {
  throw new MqttProtocolError(reasonCodes.protocolError, `property ${row.name} is there twice`)
}

function refused(row: PropertyRow): never {
  throw new MqttProtocolError(reasonCodes.protocolError, `property ${row.name} has a value that it may not have`)
}

/**
 * The bytes of a property list with its length in front. Properties are written in the order of their identifiers, user properties in their
 * own order. `subscriptionIds` are the one property beside them that may repeat, in a PUBLISH of a server. Programmer errors (a string above 65,535
 * bytes) throw RangeError.
 */
export function encodeProperties(properties: MqttProperties, subscriptionIds: readonly number[] = []): Uint8Array {
  const parts: Uint8Array[] = []
  for (const row of rowsById) {
    if (row === undefined) continue
    if (row.id === propertyIds.subscriptionIdentifier)
      for (const id of subscriptionIds) parts.push(encodeValue(row, id))
    const value = properties[row.name]
    if (value === undefined) continue
    for (const single of row.type === 'pair' ? (value as readonly UserProperty[]) : [value]) {
      parts.push(encodeValue(row, single as number | string | Uint8Array | UserProperty))
    }
  }
  const size = parts.reduce((sum, part) => sum + part.length, 0)
  const bytes = new Uint8Array(variableByteIntegerSize(size) + size)
  let at = writeVariableByteInteger(bytes, 0, size)
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function encodeValue(row: PropertyRow, value: number | string | Uint8Array | UserProperty): Uint8Array {
  switch (row.type) {
    case 'byte':
      return Uint8Array.of(row.id, value as number)
    case 'uint16':
      return Uint8Array.of(row.id, (value as number) >>> 8, value as number)
    case 'uint32': {
      const bytes = new Uint8Array(5)
      bytes[0] = row.id
      new DataView(bytes.buffer).setUint32(1, value as number)
      return bytes
    }
    case 'variable': {
      const bytes = new Uint8Array(1 + variableByteIntegerSize(value as number))
      bytes[0] = row.id
      writeVariableByteInteger(bytes, 1, value as number)
      return bytes
    }
    case 'binary':
      return prefixed(row.id, [value as Uint8Array])
    case 'string':
      return prefixed(row.id, [utf8Bytes(value as string)])
    case 'pair':
      return prefixed(row.id, [utf8Bytes((value as UserProperty)[0]), utf8Bytes((value as UserProperty)[1])])
  }
}

function prefixed(id: number, values: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(1 + values.reduce((sum, value) => sum + 2 + value.length, 0))
  bytes[0] = id
  let at = 1
  for (const value of values) {
    if (value.length > 65_535) throw new RangeError(`a property of ${value.length} bytes cannot be encoded`)
    bytes[at] = value.length >>> 8
    bytes[at + 1] = value.length
    bytes.set(value, at + 2)
    at += 2 + value.length
  }
  return bytes
}
