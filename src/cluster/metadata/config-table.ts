/** What a setting of Kafka's is: its type, its checks, how it is shown. The tables are topic-config.ts and broker-config.ts. */

export type ConfigType = 'boolean' | 'string' | 'int' | 'short' | 'long' | 'double' | 'list'

/** Numbers of DescribeConfigs' ConfigType. */
export const configTypeCode: Readonly<Record<ConfigType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
}

/** Numbers of DescribeConfigs' ConfigSource. */
export const configSourceCode = {
  dynamicTopic: 1,
  dynamicBroker: 2,
  dynamicDefaultBroker: 3,
  staticBroker: 4,
  default: 5,
} as const

export interface ConfigDefinition {
  readonly type: ConfigType
  /** As written. */
  readonly default: string
  readonly doc: string
  readonly least?: number
  readonly most?: number
  /** The words that a string, or each element of a list, may be. */
  readonly choices?: readonly string[]
  /** A broker setting that may be changed while it runs. */
  readonly dynamic?: boolean
  /** The broker setting that gives a topic setting its default, and how its value becomes the topic's. */
  readonly synonym?: { readonly name: string; readonly scale?: number }
  /** Why a value is refused although Kafka takes it: shown to the client. */
  readonly refuse?: (value: string) => string | null
}

export type ConfigTable = Readonly<Record<string, ConfigDefinition>>

/** UTF-16 units of the longest value, as Kafka's controller counts it: a string of a metadata record. */
const valueLengthMax = 32_767

/** What the type itself holds. */
const ranges: Readonly<Partial<Record<ConfigType, readonly [lowest: bigint, highest: bigint]>>> = {
  int: [-(2n ** 31n), 2n ** 31n - 1n],
  short: [-(2n ** 15n), 2n ** 15n - 1n],
  long: [-(2n ** 63n), 2n ** 63n - 1n],
}

/** What is wrong with a value, as a sentence for the client; null when it is right. */
export function faultOf(name: string, definition: ConfigDefinition, value: string): string | null {
  if (value.length > valueLengthMax)
    return `The configuration value cannot be added because it exceeds the maximum value size of ${valueLengthMax} bytes.`
  const invalid = (why: string): string => `Invalid value ${value} for configuration ${name}: ${why}`
  switch (definition.type) {
    case 'boolean':
      if (!/^(true|false)$/i.test(value.trim())) return invalid('Expected value to be either true or false')
      return definition.refuse?.(value) ?? null
    case 'string':
      if (definition.choices !== undefined && !definition.choices.includes(value))
        return invalid(choiceText(definition))
      return definition.refuse?.(value) ?? null
    case 'list': {
      const words = listOf(value)
      const odd = words.find((word) => definition.choices !== undefined && !definition.choices.includes(word))
      if (odd !== undefined) return invalid(choiceText(definition))
      return definition.refuse?.(value) ?? null
    }
    default:
      return numberFault(definition, value, invalid) ?? definition.refuse?.(value) ?? null
  }
}

function numberFault(definition: ConfigDefinition, value: string, invalid: (why: string) => string): string | null {
  if (!isOfType(definition.type, value.trim())) return invalid(`Not a number of type ${definition.type.toUpperCase()}`)
  const number = Number(value)
  if (number < (definition.least ?? -Infinity)) return invalid(`Value must be at least ${definition.least}`)
  if (number > (definition.most ?? Infinity)) return invalid(`Value must be no more than ${definition.most}`)
  return null
}

/** Apache Kafka must be able to read what is stored here, so its types are kept to the last digit. */
function isOfType(type: ConfigType, text: string): boolean {
  const range = ranges[type]
  if (range === undefined) return /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)
  if (!/^[+-]?\d{1,20}$/.test(text)) return false
  const number = BigInt(text.replace('+', ''))
  return number >= range[0] && number <= range[1]
}

function choiceText(definition: ConfigDefinition): string {
  return `String must be one of: ${(definition.choices ?? []).join(', ')}`
}

/** A value as Kafka shows it: of what was written (` 100`, `TRUE`, `delete, compact`), what it means. */
export function shownText(type: ConfigType, value: string): string {
  switch (type) {
    case 'string':
      return value
    case 'boolean':
      return value.trim().toLowerCase()
    case 'list':
      return [...new Set(listOf(value))].join(',')
    case 'double':
      return isOfType(type, value.trim()) ? javaDouble(Number(value)) : value
    default:
      return isOfType(type, value.trim()) ? String(BigInt(value.trim().replace('+', ''))) : value
  }
}

/** `Double.toString` of Java: always with a point, and with an exponent below 0.001 and from ten million on. */
function javaDouble(number: number): string {
  const size = Math.abs(number)
  const withPoint = (text: string): string => (text.includes('.') ? text : `${text}.0`)
  if (size === 0 || (size >= 1e-3 && size < 1e7)) return withPoint(String(number))
  const [digits = '', exponent = ''] = number.toExponential().split('e')
  return `${withPoint(digits)}E${Number(exponent)}`
}

/** The words of a list setting. */
export function listOf(value: string): readonly string[] {
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}
