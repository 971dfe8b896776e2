import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AclEntry,
  type AclFilter,
  aclOperation,
  aclPattern,
  aclPermission,
  aclResource,
  isMatch,
} from '../../src/security/acl.ts'
import { AclTable } from '../../src/security/acl-table.ts'
import { Authorizer, parseSuperUsers } from '../../src/security/authorizer.ts'

const { topic, group } = aclResource
const { read, write, describe: see, all, alter, alterConfigs, describeConfigs, delete: remove } = aclOperation

function entry(changes: Partial<AclEntry> = {}): AclEntry {
  return {
    resourceType: topic,
    resourceName: 'plant',
    patternType: aclPattern.literal,
    principal: 'User:alice',
    host: '*',
    operation: read,
    permissionType: aclPermission.allow,
    ...changes,
  }
}

const prefixed = { patternType: aclPattern.prefixed }
const deny = { permissionType: aclPermission.deny }

function authorizerOf(entries: readonly AclEntry[], options: { superUsers?: string; open?: boolean } = {}) {
  const table = new AclTable()
  entries.forEach((each, index) => table.add(`id${index}`, each))
  const superUsers = parseSuperUsers(options.superUsers ?? '')
  if (typeof superUsers === 'string') throw new Error(superUsers)
  const authorizer = new Authorizer({ table, isEnabled: true, superUsers, allowsWithoutAcl: options.open ?? false })
  const may = (operation: number, name: string, who = 'User:alice', host = '10.0.0.1', type: number = topic): boolean =>
    authorizer.subject(who, host).allows(operation, type, name)
  return { table, authorizer, may }
}

describe('the authorizer', () => {
  it.each<[string, AclEntry[], number, string, boolean]>([
    ['nothing allows nothing', [], read, 'plant', false],
    ['what is allowed', [entry()], read, 'plant', true],
    ['another operation', [entry()], write, 'plant', false],
    ['another name', [entry()], read, 'plant2', false],
    ['another case', [entry()], read, 'Plant', false],
    ['another kind', [entry({ resourceType: group })], read, 'plant', false],
    ['a name in another normal form', [entry({ resourceName: 'caf\u00e9' })], read, 'cafe\u0301', false],
    ['every name', [entry({ resourceName: '*' })], read, 'anything', true],
    ['a prefix', [entry({ ...prefixed, resourceName: 'pl' })], read, 'plant', true],
    ['the prefix itself', [entry({ ...prefixed })], read, 'plant', true],
    ['less than the prefix', [entry({ ...prefixed })], read, 'plan', false],
    ['a prefix of a star is no wildcard', [entry({ ...prefixed, resourceName: '*' })], read, 'plant', false],
    ['a literal that looks like a prefix', [entry({ resourceName: 'pl*' })], read, 'plant', false],
    ['all operations', [entry({ operation: all })], alter, 'plant', true],
    ['reading shows', [entry()], see, 'plant', true],
    ['writing shows', [entry({ operation: write })], see, 'plant', true],
    ['deleting shows', [entry({ operation: remove })], see, 'plant', true],
    ['altering shows', [entry({ operation: alter })], see, 'plant', true],
    ['altering settings shows settings', [entry({ operation: alterConfigs })], describeConfigs, 'plant', true],
    ['altering settings does not show the topic', [entry({ operation: alterConfigs })], see, 'plant', false],
    ['seeing is not reading', [entry({ operation: see })], read, 'plant', false],
    ['a denial wins', [entry(), entry(deny)], read, 'plant', false],
    ['a denial of all wins', [entry(), entry({ ...deny, operation: all })], read, 'plant', false],
    ['a denial by prefix wins', [entry(), entry({ ...deny, ...prefixed, resourceName: 'p' })], read, 'plant', false],
    ['a denial of every name wins', [entry(), entry({ ...deny, resourceName: '*' })], read, 'plant', false],
    ['a denial of everybody wins', [entry(), entry({ ...deny, principal: 'User:*' })], read, 'plant', false],
    ['a denial of reading does not hide', [entry({ operation: write }), entry(deny)], see, 'plant', true],
    ['a denial of another is none', [entry(), entry({ ...deny, principal: 'User:bob' })], read, 'plant', true],
    ['everybody', [entry({ principal: 'User:*' })], read, 'plant', true],
    ['another principal', [entry({ principal: 'User:Alice' })], read, 'plant', false],
    ['the right host', [entry({ host: '10.0.0.1' })], read, 'plant', true],
    ['another host', [entry({ host: '10.0.0.2' })], read, 'plant', false],
    ['a host is no prefix', [entry({ host: '10.0.0' })], read, 'plant', false],
    ['the name of a prototype', [], read, '__proto__', false],
  ])('%s', (_, entries, operation, name, expected) => {
    expect(authorizerOf(entries).may(operation, name)).toBe(expected)
  })

  it('lets superusers do everything, whatever is denied', () => {
    const { may } = authorizerOf([entry({ ...deny, operation: all })], { superUsers: 'User:root; User:alice' })
    expect([may(write, 'plant'), may(write, 'x', 'User:root'), may(read, 'x', 'User:ROOT')]).toEqual([
      true,
      true,
      false,
    ])
  })

  it('opens a resource without entries where it is told to, and no other', () => {
    const { may } = authorizerOf([entry({ principal: 'User:bob' })], { open: true })
    expect([may(read, 'free'), may(read, 'plant')]).toEqual([true, false])
  })

  it('forgets what it has decided when an entry comes or goes', () => {
    const { table, may } = authorizerOf([])
    expect(may(read, 'plant')).toBe(false)
    table.add('new', entry())
    expect(may(read, 'plant')).toBe(true)
    table.add('denial', entry(deny))
    expect(may(read, 'plant')).toBe(false)
    table.remove('denial')
    table.remove('new')
    expect(may(read, 'plant')).toBe(false)
  })

  it.each<[string, AclEntry[], boolean]>([
    ['nothing', [], false],
    ['one topic', [entry({ operation: write })], true],
    ['a prefix', [entry({ ...prefixed, operation: write })], true],
    ['one topic that is denied too', [entry({ operation: write }), entry({ ...deny, operation: write })], false],
    [
      'a prefix, with one topic of it denied',
      [entry({ ...prefixed, operation: write }), entry({ ...deny, operation: write })],
      true,
    ],
    [
      'one topic under a denied prefix',
      [entry({ operation: write }), entry({ ...deny, ...prefixed, resourceName: 'p', operation: all })],
      false,
    ],
    [
      'every topic but denied',
      [entry({ resourceName: '*', operation: write }), entry({ ...deny, resourceName: '*', operation: write })],
      false,
    ],
    ['reading alone', [entry()], false],
    [
      'a prefix of a star that is denied too',
      [
        entry({ ...prefixed, resourceName: '*', operation: write }),
        entry({ ...deny, ...prefixed, resourceName: '*', operation: write }),
      ],
      false,
    ],
  ])('finds out whether something may be written, given %s', (_, entries, expected) => {
    expect(authorizerOf(entries).authorizer.subject('User:alice', 'h').allowsSome(write, topic)).toBe(expected)
  })

  /** The rules as the documentation tells them, without an index, an order or a memory. */
  function byTheBook(entries: readonly AclEntry[], operation: number, name: string, host: string): boolean {
    const own = entries.filter(
      (each) =>
        each.resourceType === topic &&
        (each.patternType === aclPattern.prefixed
          ? name.startsWith(each.resourceName)
          : ['*', name].includes(each.resourceName)) &&
        ['User:*', 'User:alice'].includes(each.principal) &&
        ['*', host].includes(each.host),
    )
    const implied: Record<number, number[]> = { [see]: [read, write, remove, alter], [describeConfigs]: [alterConfigs] }
    if (own.some((each) => each.permissionType === aclPermission.deny && [all, operation].includes(each.operation)))
      return false
    const enough = [all, operation, ...(implied[operation] ?? [])]
    return own.some((each) => each.permissionType === aclPermission.allow && enough.includes(each.operation))
  }

  it('decides by the book, whatever the entries', () => {
    const names = ['a', 'ab', 'abc', 'b', '*', 'ba']
    const arbitraryEntry = fc.record({
      resourceType: fc.constantFrom<number>(topic, group),
      resourceName: fc.constantFrom(...names),
      patternType: fc.constantFrom<number>(aclPattern.literal, aclPattern.prefixed),
      principal: fc.constantFrom('User:alice', 'User:bob', 'User:*'),
      host: fc.constantFrom('*', 'h1', 'h2'),
      operation: fc.constantFrom<number>(...Object.values(aclOperation).filter((code) => code > 1)),
      permissionType: fc.constantFrom<number>(aclPermission.allow, aclPermission.allow, aclPermission.deny),
    })
    const request = fc.record({
      operation: fc.constantFrom<number>(...Object.values(aclOperation).filter((code) => code > 2)),
      name: fc.constantFrom('a', 'ab', 'abc', 'b', 'ba', 'c'),
      host: fc.constantFrom('h1', 'h2'),
    })
    fc.assert(
      fc.property(
        fc.array(arbitraryEntry, { maxLength: 8 }),
        fc.array(request, { minLength: 1, maxLength: 12 }),
        (entries, requests) => {
          const { may } = authorizerOf(entries)
          for (const { operation, name, host } of requests)
            expect(may(operation, name, 'User:alice', host)).toBe(byTheBook(entries, operation, name, host))
        },
      ),
      { numRuns: 3_000, seed: 290 },
    )
  })
})

describe('a filter of entries', () => {
  const any: AclFilter = {
    resourceType: aclResource.any,
    resourceName: null,
    patternType: aclPattern.any,
    principal: null,
    host: null,
    operation: aclOperation.any,
    permissionType: aclPermission.any,
  }

  it.each<[string, Partial<AclFilter>, AclEntry, boolean]>([
    ['anything', {}, entry(), true],
    ['a name', { resourceName: 'plant' }, entry(), true],
    [
      'a name, literally',
      { resourceName: 'plant', patternType: aclPattern.literal },
      entry({ resourceName: '*' }),
      false,
    ],
    [
      'a name that a wildcard holds for',
      { resourceName: 'plant', patternType: aclPattern.match },
      entry({ resourceName: '*' }),
      true,
    ],
    [
      'a name that a prefix holds for',
      { resourceName: 'plant', patternType: aclPattern.match },
      entry({ ...prefixed, resourceName: 'p' }),
      true,
    ],
    [
      'a name that a prefix does not hold for',
      { resourceName: 'q', patternType: aclPattern.match },
      entry({ ...prefixed, resourceName: 'p' }),
      false,
    ],
    [
      'a prefix by name',
      { resourceName: 'p', patternType: aclPattern.prefixed },
      entry({ ...prefixed, resourceName: 'p' }),
      true,
    ],
    ['another principal', { principal: 'User:bob' }, entry(), false],
    ['another host', { host: 'h' }, entry(), false],
    ['the operation itself', { operation: see }, entry(), false],
    ['another permission', { permissionType: aclPermission.deny }, entry(), false],
  ])('for %s', (_, filter, found, expected) => {
    expect(isMatch({ ...any, ...filter }, found)).toBe(expected)
  })
})

describe('what is remembered', () => {
  it('is bounded over all principals and addresses, and decides as what is not', () => {
    const { authorizer } = authorizerOf([entry({ ...prefixed, resourceName: 'plant' })])
    authorizer.subject('User:idle', 'h')
    for (let host = 0; host < 300; host++) {
      const subject = authorizer.subject('User:alice', `2001:db8::${host}`)
      for (let name = 0; name < 500; name++) {
        const isOurs = name % 2 === 0
        expect(subject.allows(read, topic, `${isOurs ? 'plant' : 'other'}-${name}`)).toBe(isOurs)
      }
      expect(authorizer.decisionsRemembered).toBeLessThan(100_000)
    }
    expect(authorizer.decisionsRemembered).toBeGreaterThan(0)
  })

  it('holds no name that is longer than names are, and to decide over one takes no look at each of its beginnings', () => {
    const { authorizer } = authorizerOf([entry({ ...prefixed, resourceName: 'plant', resourceType: group })])
    const subject = authorizer.subject('User:alice', 'h')
    for (let at = 0; at < 1_000; at++) expect(subject.allows(read, group, `plant${at}${'x'.repeat(30_000)}`)).toBe(true)
    expect(authorizer.decisionsRemembered).toBe(0)
  })
})

describe('super.users', () => {
  it.each(['alice', 'User:', 'User:a;bob', 'Group:x'])('refuses %j with a reason', (text) => {
    expect(parseSuperUsers(text)).toMatch(/is not User:NAME/)
  })
  it('takes several', () =>
    expect(parseSuperUsers(' User:a ; User:CN=b,O=c; ')).toEqual(new Set(['User:a', 'User:CN=b,O=c'])))
})
