/** What the audit is told of requests that change something: bounded however large they are, and nothing that is a secret. */
import { describe, expect, it } from 'vitest'
import type { Audit } from '../../../src/base/audit-def.ts'
import { auditedApis } from '../../../src/ingest/kafka/audit/audited-apis.ts'
import { auditHandlers } from '../../../src/ingest/kafka/audit/audited-handler.ts'
import type { HandlerEntry, RequestContext } from '../../../src/ingest/kafka/handler.ts'

interface Told {
  readonly type: string
  readonly subject: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** What is told of one request that has this answer. */
async function told(apiKey: number, request: object, answer: object): Promise<Told[]> {
  const all: Told[] = []
  const take: Audit['recordRepeated'] = ({ type }, subject, fields) => void all.push({ type, subject, fields })
  const audit: Audit = {
    record: (definition, subject, fields) => take(definition, subject, fields),
    recordRepeated: take,
  }
  const entry: HandlerEntry = [apiKey, () => answer]
  const [, handler] = auditHandlers([entry], auditedApis, audit)[0] ?? entry
  const context = { principal: 'User:root', clientHost: '10.0.0.7' } as RequestContext
  expect(await handler(request as never, context)).toBe(answer)
  return all
}

describe('the audit of a request', () => {
  it('tells who, from where, what, and what came of it', async () => {
    const request = { topics: [{ name: 'a', count: 5 }], validateOnly: false }
    expect(await told(37, request, { results: [{ name: 'a', errorCode: 0 }] })).toEqual([
      {
        type: 'headwater.topic.grown',
        subject: 'a',
        fields: { principal: 'User:root', client: '10.0.0.7', outcome: 'done', detail: 'partitions=5', repeated: 0 },
      },
    ])
    expect(await told(37, request, { results: [{ name: 'a', errorCode: 29 }] })).toMatchObject([
      { fields: { outcome: 'TOPIC_AUTHORIZATION_FAILED' } },
    ])
    expect(await told(37, { ...request, validateOnly: true }, { results: [{ name: 'a', errorCode: 0 }] })).toEqual([])
  })

  it('holds nothing of a password, nor the value of a setting that is not known', async () => {
    const salt = Buffer.from('canary-salt')
    const upsertions = [{ name: 'alice', mechanism: 1, iterations: 4096, salt, saltedPassword: Buffer.from('canary') }]
    const credentials = await told(51, { deletions: [], upsertions }, { results: [{ user: 'alice', errorCode: 0 }] })
    expect(credentials).toMatchObject([
      { subject: 'User:alice', fields: { detail: 'set SCRAM-SHA-256, iterations=4096' } },
    ])
    const configs = [
      { name: 'retention.ms', configOperation: 0, value: '5' },
      { name: 'ssl.keystore.password', configOperation: 0, value: 'canary' },
      { name: 'constructor', configOperation: 2, value: 'canary' },
    ]
    const resource = { resourceType: 2, resourceName: 'press' }
    const changed = await told(
      44,
      { resources: [{ ...resource, configs }] },
      { responses: [{ ...resource, errorCode: 0 }] },
    )
    expect(changed).toMatchObject([
      {
        subject: 'topic:press',
        fields: {
          detail: 'retention.ms=5, ssl.keystore.password (value left out), append constructor (value left out)',
        },
      },
    ])
    expect(JSON.stringify([credentials, changed])).not.toContain('canary')
  })

  it('of a hundred thousand changes tells a thousand, and how many more there were', async () => {
    const users = Array.from({ length: 100_000 }, (_, at) => `user-${at}`)
    const deletions = users.map((name) => ({ name, mechanism: 1 }))
    const answer = { results: users.map((user) => ({ user, errorCode: 0 })) }
    const all = await told(51, { deletions, upsertions: [] }, answer)
    expect(all).toHaveLength(1_000)
    expect(all.at(-1)).toMatchObject({ subject: '(others)', fields: { detail: '99001 more of the same request' } })
  })

  it('of a change with a hundred thousand parts tells the first of them', async () => {
    const configs = Array.from({ length: 100_000 }, (_, at) => ({ name: `x${at}`, value: 'y' }))
    const request = { resources: [{ resourceType: 2, resourceName: 'press', configs }] }
    const [only] = await told(33, request, { responses: [{ resourceType: 2, resourceName: 'press', errorCode: 40 }] })
    expect(String(only?.fields['detail'])).toMatch(/^all of them, x0 .* and 99981 more$/)
    expect(String(only?.fields['detail']).length).toBeLessThan(1_000)
  })
})
