/** Collects the tables of the tree (events, metrics, errors, internal topics): what the printed docs and the tidy test are made of. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ErrorDefinition } from '../src/base/errors.ts'
import type { EventDefinition } from '../src/base/event-def.ts'
import type { InternalTopicDefinition } from '../src/base/internal-topic-def.ts'
import type { MetricDefinition } from '../src/base/metric-def.ts'

export const repositoryRoot = join(import.meta.dirname, '..')

/** One entry of a table. */
export interface TableEntry<T> {
  /** File that declares it, from the root of the repository. */
  readonly path: string
  /** `tableName.key`, as its users write it. */
  readonly use: string
  readonly definition: T
}

export interface Tables {
  readonly events: readonly TableEntry<EventDefinition>[]
  readonly metrics: readonly TableEntry<MetricDefinition>[]
  readonly errors: readonly TableEntry<ErrorDefinition>[]
  readonly internalTopics: readonly TableEntry<InternalTopicDefinition>[]
}

/** Loads every table under src. */
export async function loadTables(): Promise<Tables> {
  const paths = globSync('src/**/*.ts', { cwd: repositoryRoot }).sort()
  return {
    events: await entriesOf(
      paths.filter((path) => path.endsWith('-events.ts')),
      isEvent,
    ),
    metrics: await entriesOf(
      paths.filter((path) => path.endsWith('-metrics.ts')),
      isMetric,
    ),
    errors: await entriesOf(
      paths.filter((path) => path.endsWith('-errors.ts')),
      isError,
    ),
    internalTopics: await entriesOf(paths.filter(declaresInternalTopic), isInternalTopic),
  }
}

function declaresInternalTopic(path: string): boolean {
  return /:\s*(?:readonly\s+)?InternalTopicDefinition\b(?:\[\])?\s*=|satisfies\s+InternalTopicDefinition/.test(
    readFileSync(join(repositoryRoot, path), 'utf8'),
  )
}

async function entriesOf<T>(
  paths: readonly string[],
  isDefinition: (value: unknown) => value is T,
): Promise<TableEntry<T>[]> {
  const entries: TableEntry<T>[] = []
  for (const path of paths) {
    const module = (await import(join(repositoryRoot, path))) as Readonly<Record<string, unknown>>
    for (const [name, table] of Object.entries(module)) {
      if (isDefinition(table)) entries.push({ path, use: name, definition: table })
      else if (typeof table === 'object' && table !== null) {
        for (const [key, definition] of Object.entries(table)) {
          if (isDefinition(definition)) entries.push({ path, use: `${name}.${key}`, definition })
        }
      }
    }
  }
  return entries
}

function hasKeys(value: unknown, keys: readonly string[]): boolean {
  return typeof value === 'object' && value !== null && keys.every((key) => key in value)
}

function isEvent(value: unknown): value is EventDefinition {
  return hasKeys(value, ['id', 'level', 'sentence', 'fields'])
}

function isMetric(value: unknown): value is MetricDefinition {
  return hasKeys(value, ['name', 'kind', 'help', 'labels'])
}

function isError(value: unknown): value is ErrorDefinition {
  return hasKeys(value, ['code', 'sentence', 'remedy', 'retriable'])
}

function isInternalTopic(value: unknown): value is InternalTopicDefinition {
  return hasKeys(value, ['name', 'partitions', 'configs', 'readable', 'holds'])
}
