/** What is declared is used and documented, what is used is declared: tables of events, metrics, errors, internal topics and config keys. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { observerMetrics } from '../../src/admin/observer-metrics.ts'
import { configKeys, environmentName } from '../../src/config-keys.ts'
import { metricTables } from '../../src/metric-tables.ts'
import { printedDocuments } from '../../tools/print-docs.ts'
import { loadTables, type TableEntry } from '../../tools/tables.ts'
import { repositoryRoot, type SourceFile, sourceFile, sourceFiles } from './source-text.ts'

const source = sourceFiles('src')
const tables = await loadTables()

/** Entries that no other file names. A table used as a whole (`Object.values(table)`) declares, it does not use. */
function unusedEntries(entries: readonly TableEntry<unknown>[], files: readonly SourceFile[]): string[] {
  return entries
    .filter(({ path, use }) => {
      const pattern = new RegExp(`(?<![\\w.])${use.replaceAll('.', '\\s*\\.\\s*')}\\b`)
      return !files.some((file) => file.path !== path && pattern.test(file.code))
    })
    .map(({ path, use }) => `${path}: ${use} is used nowhere`)
}

function duplicates(names: readonly string[]): string[] {
  return names.filter((name, index) => names.indexOf(name) !== index)
}

/** Calls of `define...` outside the files of tables, which the printed docs would not see. */
function strayTables(files: readonly SourceFile[]): string[] {
  const kinds = { defineEvents: '-events.ts', defineMetrics: '-metrics.ts', defineErrors: '-errors.ts' }
  return files.flatMap((file) =>
    Object.entries(kinds)
      .filter(
        ([name, ending]) => new RegExp(`(?<!function )\\b${name}\\(`).test(file.code) && !file.path.endsWith(ending),
      )
      .map(([name, ending]) => `${file.path}: ${name} belongs into a file *${ending}`),
  )
}

/** Places of a sentence that no field fills. */
function unfilledPlaces(sentence: string, fields: readonly string[]): string[] {
  return [...sentence.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '').filter((place) => !fields.includes(place))
}

describe('tables', () => {
  it('are declared where the printed docs find them', () => expect(strayTables(source)).toEqual([]))
  it('hold no event that nobody reports', () => expect(unusedEntries(tables.events, source)).toEqual([]))
  it('hold no metric that nobody counts', () => expect(unusedEntries(tables.metrics, source)).toEqual([]))
  it('hold no error that nobody throws', () => expect(unusedEntries(tables.errors, source)).toEqual([]))

  it('hold no metric that /metrics would not show before its first use', () => {
    const shown = new Set([...metricTables, ...Object.values(observerMetrics)])
    expect(tables.metrics.filter(({ definition }) => !shown.has(definition)).map(({ use }) => use)).toEqual([])
  })

  it('name each thing once', () => {
    expect(duplicates(tables.events.map(({ definition }) => definition.id))).toEqual([])
    expect(duplicates(tables.metrics.map(({ definition }) => definition.name))).toEqual([])
    expect(duplicates(tables.errors.map(({ definition }) => definition.code))).toEqual([])
    expect(duplicates(tables.internalTopics.map(({ definition }) => definition.name))).toEqual([])
  })

  it.each(tables.events.map(({ definition }) => [definition.id, definition] as const))(
    'event %s is well formed',
    (id, definition) => {
      expect(id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/)
      expect(unfilledPlaces(definition.sentence, Object.keys(definition.fields))).toEqual([])
      // pino's own names would be overwritten
      expect(
        Object.keys(definition.fields).filter((field) =>
          ['time', 'level', 'event', 'message', 'pid', 'hostname'].includes(field),
        ),
      ).toEqual([])
    },
  )

  it.each(tables.metrics.map(({ definition }) => [definition.name, definition] as const))(
    'metric %s is well formed',
    (name, definition) => {
      expect(name).toMatch(/^headwater_[a-z0-9_]+$/)
      expect(name.endsWith('_total')).toBe(definition.kind === 'counter')
      expect(definition.help).toMatch(/\.$/)
      expect(definition.buckets !== undefined).toBe(definition.kind === 'histogram')
      expect(name).not.toMatch(/_(?:ms|millis|milliseconds|minutes|hours|kib|mib)(?:_|$)/)
    },
  )

  it.each(tables.errors.map(({ definition }) => [definition.code, definition] as const))(
    'error %s is well formed',
    (name, definition) => {
      expect(name).toMatch(/^[A-Z][A-Z0-9_]+$/)
      expect(definition.remedy).toMatch(/\.$/)
    },
  )

  it('internal topics carry our prefix or the name that Kafka gives them', () => {
    const kafka = [
      '__consumer_offsets',
      '__transaction_state',
      '__cluster_metadata',
      '__share_group_state',
      '__remote_log_metadata',
    ]
    expect(
      tables.internalTopics
        .map(({ definition }) => definition.name)
        .filter((name) => !name.startsWith('__headwater_') && !kafka.includes(name)),
    ).toEqual([])
  })
})

describe('configuration', () => {
  const keys = configKeys({ insideLists: true })

  it('says of each key what it is', () =>
    expect(keys.filter((key) => key.description === '').map((key) => key.name)).toEqual([]))

  it('gives each key a variable of its own', () =>
    expect(duplicates(configKeys().map((key) => environmentName(key.path)))).toEqual([]))

  it('has no key that nobody reads', () => {
    const readers = source.filter(
      (file) => !/^src\/config(?:-keys|-names|-reader|-values|-errors)?\.ts$/.test(file.path),
    )
    const leaf = (name: string) => name.slice(name.lastIndexOf('.') + 1)
    expect(
      keys
        .map((key) => key.name)
        .filter((name) => !readers.some((file) => new RegExp(`\\b${leaf(name)}\\b`).test(file.code))),
    ).toEqual([])
  })
})

describe('printed documents', async () => {
  const documents = await printedDocuments()
  it.each([...documents])('%s is what the tables print (npm run docs)', (path, text) => {
    const file = join(repositoryRoot, path)
    expect(existsSync(file) ? readFileSync(file, 'utf8') : '').toBe(text)
  })
})

describe('the scanners of this test', () => {
  const entry = { path: 'src/log/log-events.ts', use: 'logEvents.rolled', definition: {} }

  it('find an entry that nobody uses, and are content with one use elsewhere', () => {
    expect(unusedEntries([entry], [sourceFile('src/log/log-events.ts', 'logEvents.rolled')])).toHaveLength(1)
    expect(
      unusedEntries([entry], [sourceFile('src/log/a.ts', '// logEvents.rolled\nlogEvents.rolledOver')]),
    ).toHaveLength(1)
    expect(unusedEntries([entry], [sourceFile('src/log/a.ts', 'observer.event(logEvents.rolled, {})')])).toEqual([])
  })

  it('find a table in the wrong file', () => {
    expect(strayTables([sourceFile('src/log/a.ts', 'export const e = defineEvents({})')])).toHaveLength(1)
  })

  it('find a place without a field, and a name given twice', () => {
    expect(unfilledPlaces('{a} and {b}', ['a'])).toEqual(['b'])
    expect(duplicates(['a', 'b', 'a'])).toEqual(['a'])
  })
})
