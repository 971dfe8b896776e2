/** Nothing that is told of what happens has a place for a secret: events of the log, figures, and the audit are tables, and these are looked through. */
import { describe, expect, it } from 'vitest'
import { auditTypes } from '../../src/security/audit/audit-types.ts'
import { loadTables } from '../../tools/tables.ts'

const secret =
  /(?:password|passphrase|secret|token|clientProof|salt|nonce|cookie|authorization|credentials?|privateKey|pem)s?$/i
const tables = await loadTables()

function suspicious(all: readonly (readonly [owner: string, fields: readonly string[]])[]): string[] {
  return all.flatMap(([owner, fields]) =>
    fields.filter((field) => secret.test(field)).map((field) => `${owner}: ${field}`),
  )
}

describe('no place for a secret', () => {
  it('is in an event of the log', () => {
    expect(tables.events.length).toBeGreaterThan(50)
    expect(suspicious(tables.events.map(({ definition }) => [definition.id, Object.keys(definition.fields)]))).toEqual(
      [],
    )
  })

  it('is in a figure', () => {
    expect(suspicious(tables.metrics.map(({ definition }) => [definition.name, definition.labels]))).toEqual([])
  })

  it('is in a record of the audit', () => {
    expect(suspicious(Object.values(auditTypes).map(({ type, fields }) => [type, Object.keys(fields)]))).toEqual([])
  })

  it('is found where there is one', () => {
    expect(suspicious([['an-event', ['client', 'saltedPassword', 'tokens', 'mechanism']]])).toEqual([
      'an-event: saltedPassword',
      'an-event: tokens',
    ])
  })
})
