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

const intMax = 2_147_483_647
const bounds: Readonly<Partial<Record<ConfigType, readonly [number, number]>>> = {
  int: [-intMax - 1, intMax],
  short: [-32_768, 32_767],
  long: [Number.MIN_SAFE_INTEGER, Number.POSITIVE_INFINITY],
}

/** What is wrong with a value, as a sentence for the client; null when it is right. */
export function faultOf(name: string, definition: ConfigDefinition, value: string): string | null {
  const invalid = (why: string): string => `Invalid value ${value} for configuration ${name}: ${why}`
  switch (definition.type) {
    case 'boolean':
      return /^(true|false)$/i.test(value.trim()) ? null : invalid('Expected value to be either true or false')
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
  const isWhole = definition.type !== 'double'
  if (!(isWhole ? /^\s*[+-]?\d+\s*$/ : /^\s*[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\s*$/).test(value)) {
    return invalid(`Not a number of type ${definition.type.toUpperCase()}`)
  }
  const number = Number(value)
  const [lowest, highest] = bounds[definition.type] ?? [-Infinity, Infinity]
  if (number < Math.max(lowest, definition.least ?? -Infinity))
    return invalid(`Value must be at least ${definition.least ?? lowest}`)
  if (number > Math.min(highest, definition.most ?? Infinity))
    return invalid(`Value must be no more than ${definition.most ?? highest}`)
  return null
}

function choiceText(definition: ConfigDefinition): string {
  return `String must be one of: ${(definition.choices ?? []).join(', ')}`
}

/** The words of a list setting. */
export function listOf(value: string): readonly string[] {
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}
