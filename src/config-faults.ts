/** The faults of a written configuration in words: what stands there, what is wanted, and the nearest name that exists. */
import type { z } from 'zod'
import { configKeys } from './config-keys.ts'
import { nearestName, pathText } from './config-names.ts'

/** One fault and the key that it is about. */
export interface ConfigFault {
  readonly path: readonly PropertyKey[]
  readonly sentence: string
}

/** The faults that one issue of the schema tells of. `input` must be reported with it. */
export function describeIssue(issue: z.core.$ZodIssue): ConfigFault[] {
  const at = pathText(issue.path)
  if (issue.code === 'unrecognized_keys') {
    const siblings = siblingNames(issue.path)
    return issue.keys.map((key) => {
      const nearest = nearestName(key, siblings)
      const hint =
        nearest === null
          ? `; there are ${siblings.join(', ')}`
          : `; did you mean ${pathText([...issue.path, nearest])}?`
      return { path: [...issue.path, key], sentence: `${pathText([...issue.path, key])}: there is no such key${hint}` }
    })
  }
  const message = messageOf(issue)
  return [{ path: [...issue.path], sentence: at === '' ? message : `${at}: ${message}` }]
}

function messageOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return wrongKind(issue.expected, issue.input)
    case 'invalid_value':
      return wrongChoice(issue.values.map(String), issue.input)
    case 'too_small':
      return tooSmall(issue.origin, Number(issue.minimum))
    case 'too_big':
      return tooBig(issue.origin, Number(issue.maximum))
    case 'invalid_union':
      return noScalar(issue.path, issue.input)
    default:
      return issue.message
  }
}

const kindNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a section of keys',
  record: 'a section of keys',
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  return value === null ? 'nothing' : typeof value
}

function wrongKind(expected: string, input: unknown): string {
  if (input === undefined) return 'this key is required'
  const wanted = kindNames[expected] ?? expected
  const isSection = expected === 'object' || expected === 'record'
  if (input === null) {
    if (isSection) return 'this section is empty; write its keys below it, or leave it out'
    return `nothing stands here; ${wanted} is wanted`
  }
  if (expected === 'int') return 'a whole number is wanted'
  const given = kindNames[kindOf(input)] ?? kindOf(input)
  const hint = expected === 'string' && typeof input !== 'object' ? '; put it in quotes' : ''
  return `${wanted} is wanted, this is ${given}${hint}`
}

function wrongChoice(choices: readonly string[], input: unknown): string {
  const nearest = typeof input === 'string' ? nearestName(input, choices) : null
  return `one of ${choices.join(', ')} is wanted${nearest === null ? '' : `; did you mean ${nearest}?`}`
}

function tooSmall(origin: string, minimum: number): string {
  if (origin === 'string') return minimum === 1 ? 'must not be empty' : `at least ${minimum} characters are wanted`
  if (origin === 'array') return minimum === 1 ? 'must name one at least' : `must name ${minimum} at least`
  return `is below the least value, ${minimum}`
}

function tooBig(origin: string, maximum: number): string {
  if (origin === 'string') return `at most ${maximum} characters are allowed`
  if (origin === 'array') return `at most ${maximum} are allowed`
  return `is above the greatest value, ${maximum}`
}

/** A value of several possible kinds, all of them on one line. */
function noScalar(path: readonly PropertyKey[], input: unknown): string {
  if (input === undefined) return 'this key is required'
  if (input === null) return 'nothing stands here; a value is wanted'
  if (path[0] === 'kafka' && Array.isArray(input)) return 'a list is written with commas, as Kafka has it: a,b'
  if (path[0] === 'kafka') return "a value is wanted; Kafka's names stand whole on one line, as in num.partitions: 4"
  return `one value is wanted, this is ${kindNames[kindOf(input)] ?? kindOf(input)}`
}

/** Names that may stand at a path. */
function siblingNames(path: readonly PropertyKey[]): string[] {
  const names = path.map((part) => (typeof part === 'number' ? '[]' : String(part)))
  const depth = names.length
  const siblings = new Set<string>()
  for (const key of configKeys({ insideLists: true })) {
    if (names.every((name, index) => key.path[index] === name)) siblings.add(key.path[depth] ?? '')
  }
  siblings.delete('')
  siblings.delete('[]')
  return [...siblings]
}
