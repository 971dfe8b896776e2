import { describe, expect, it } from 'vitest'
import { kerberosUser, parseKerberosRules } from '../../src/security/kerberos-names.ts'

function user(rules: string, principal: string): string | null {
  const parsed = parseKerberosRules(rules)
  if (typeof parsed === 'string') throw new Error(parsed)
  return kerberosUser(parsed, principal, 'PLANT')
}

describe('the name of a Kerberos principal', () => {
  it.each([
    ['DEFAULT', 'alice@PLANT', 'alice'],
    ['DEFAULT', 'press/line-7@PLANT', 'press'],
    ['DEFAULT', 'alice@ELSEWHERE', null],
    ['DEFAULT', 'alice@plant', null],
    ['DEFAULT', 'alice', null],
    ['DEFAULT', 'a/b/c@PLANT', null],
    ['DEFAULT', 'a\\/b@PLANT', null],
    ['DEFAULT', 'a@b@PLANT', null],
    ['DEFAULT', '@PLANT', null],
    ['RULE:[1:$1]', 'alice@ELSEWHERE', 'alice'],
    ['RULE:[1:$1]', 'press/line-7@PLANT', null],
    ['RULE:[2:$1-$2]', 'press/line-7@PLANT', 'press-line-7'],
    ['RULE:[1:$1@$0](.*@ELSEWHERE)s/@.*//', 'alice@ELSEWHERE', 'alice'],
    ['RULE:[1:$1@$0](.*@ELSEWHERE)s/@.*//', 'alice@PLANT', null],
    ['RULE:[1:$1@$0](alice@ELSEWHERE)s/@.*//', 'malice@ELSEWHERE', null],
    ['RULE:[1:$1@$0](.*@ELSEWHERE)s/@.*//,DEFAULT', 'alice@PLANT', 'alice'],
    ['RULE:[1:$1]/U', 'alice@PLANT', 'ALICE'],
    ['RULE:[1:$1]/L', 'Alice@PLANT', 'alice'],
    ['RULE:[1:$1]s/a/o/', 'banana@PLANT', 'bonana'],
    ['RULE:[1:$1]s/a/o/g', 'banana@PLANT', 'bonono'],
    ['RULE:[1:$1]s/a/o/g/U', 'banana@PLANT', 'BONONO'],
    ['RULE:[1:$1@$0]', 'alice@PLANT', null],
    ['RULE:[1:$1](b.*),RULE:[1:user-$1]', 'alice@PLANT', 'user-alice'],
    ['RULE:[1:$1]s/.*//', 'alice@PLANT', null],
  ])('by %s: %s is %s', (rules, principal, name) => expect(user(rules, principal)).toBe(name))

  it.each([
    '',
    ' , ',
    'default',
    'RULE',
    'RULE:[x:$1]',
    'RULE:[1:$1',
    'RULE:[1:$1](',
    'RULE:[1:$1]((a)',
    'RULE:[1:$4]',
    'RULE:[1:$1]s/a/b',
    'RULE:[1:$1]x',
  ])('has no rule %j', (written) => expect(parseKerberosRules(written)).toEqual(expect.any(String)))
})
