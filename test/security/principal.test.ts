import { afterAll, describe, expect, it } from 'vitest'
import { subjectOf } from '../../src/security/distinguished-name.ts'
import { principalOfPeer } from '../../src/security/principal.ts'
import { mapPrincipal, parsePrincipalMapping } from '../../src/security/principal-mapping.ts'
import { CertificateFolder, derOf, hasOpenssl } from './certificates.ts'

const folder = new CertificateFolder()
afterAll(() => folder.remove())

/** Subjects as openssl takes them, and as Java's X500Principal.getName() writes them. */
const subjects: readonly (readonly [given: string, name: string])[] = [
  ['/C=CH/ST=Bern/L=Thun/O=Works/OU=Press/CN=press-1', 'CN=press-1,OU=Press,O=Works,L=Thun,ST=Bern,C=CH'],
  ['/DC=org/DC=example/UID=u1/CN=a', 'CN=a,UID=u1,DC=example,DC=org'],
  ['/O=a, b+c/CN=semi;colon<>"=#', 'CN=semi\\;colon\\<\\>\\"\\=\\#,O=a\\, b\\+c'],
  ['/CN= lead and trail ', 'CN=\\ lead and trail\\ '],
  ['/CN=Zürich', 'CN=Zürich'],
  ['/O=x+CN=y', 'CN=y+O=x'],
  ['/emailAddress=a@b.c/CN=m', 'CN=m,1.2.840.113549.1.9.1=#16056140622e63'],
]

describe.skipIf(!hasOpenssl)('the subject of a certificate', () => {
  const authority = hasOpenssl ? folder.authority('authority') : { certificate: '', key: '' }

  it.each(subjects)('%s is written %s', (given, name) => {
    const escaped = given.replace(/\\(?=.)/g, '\\\\')
    const subject = given.startsWith('/O=a, b+c') ? escaped.replace('+', '\\+') : escaped
    const files = folder.leaf('subject', authority, { subject })
    expect(subjectOf(derOf(files.certificate))).toBe(name)
  })

  it('cannot be read from what is no certificate', () => {
    const der = derOf(authority.certificate)
    for (let length = 0; length < 120; length++) expect(() => subjectOf(der.subarray(0, length))).toThrow()
    expect(() => subjectOf(Buffer.from('30803080', 'hex'))).toThrow(/DER/)
  })

  it('names the principal, by the first rule that fits', () => {
    const peer = { certificate: derOf(authority.certificate) }
    const rules = parsePrincipalMapping('RULE:^CN=(.*?)$/$1/U')
    if (typeof rules === 'string') throw new Error(rules)
    expect(principalOfPeer(peer, rules)).toBe('User:AUTHORITY')
    expect(principalOfPeer({ certificate: null }, rules)).toBe('User:ANONYMOUS')
    const none = parsePrincipalMapping('RULE:^O=.*$/x/')
    expect(principalOfPeer(peer, none as never)).toBeNull()
  })
})

describe('ssl.principal.mapping.rules', () => {
  const dn = 'CN=Duke,OU=ServiceUsers,O=Org,C=US'

  it.each([
    ['DEFAULT', dn],
    ['', dn],
    ['RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/', 'Duke'],
    ['RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L', 'duke'],
    ['RULE:^CN=(.*?), OU=(.*?).*$/$1@$2/L , RULE:^CN=(.*?),OU=(.*?),O=(.*?),C=(.*?)$/$1@$2/U', 'DUKE@SERVICEUSERS'],
    ['RULE:^nobody$/x/,DEFAULT', dn],
    ['RULE:^CN=(.*?),OU.*$/a\\/$1\\$9/', 'a/Duke$9'],
    ['RULE:^CN=Du.*$/$7/', '$7'],
  ])('%j makes %j of it', (setting, name) => {
    const rules = parsePrincipalMapping(setting)
    expect(typeof rules === 'string' ? rules : mapPrincipal(rules, dn)).toBe(name)
  })

  it('a rule must fit the whole subject', () => {
    expect(mapPrincipal(parsePrincipalMapping('RULE:CN=Duke/x/') as never, dn)).toBeNull()
  })

  it.each(['RULE:', 'RULE:a', 'RULE:a/b', 'RULE:a/b/X', 'default', 'DEFAULT;DEFAULT', 'RULE:(/b/'])(
    'refuses %j with a reason',
    (setting) => expect(parsePrincipalMapping(setting)).toEqual(expect.stringMatching(/neither|regular/)),
  )
})
