/** `sasl.kerberos.principal.to.local.rules`: from a Kerberos principal to the name of a user, by the rules that Kafka has from Hadoop. */

interface Rule {
  /** Null = DEFAULT. */
  readonly components: number | null
  readonly format: string
  readonly match: RegExp | null
  readonly from: RegExp | null
  readonly to: string
  readonly letterCase: 'L' | 'U' | ''
}

export type KerberosRules = readonly Rule[]

const rulePattern = /^(?:(DEFAULT)|RULE:\[(\d+):([^\]]*)\](?:\(([^)]*)\))?(?:s\/([^/]*)\/([^/]*)\/(g)?)?\/?(L|U)?)$/
/** `a/b@REALM`, as Kerberos writes it; what is escaped with a backslash is no principal of a user. */
const principalPattern = /^([^/@\\]+)(?:\/([^/@\\]+))?@([^/@\\]+)$/

/** The rules of a setting, or a sentence that says what is wrong. */
export function parseKerberosRules(setting: string): KerberosRules | string {
  const rules: Rule[] = []
  for (const part of setting.split(',')) {
    const written = part.trim()
    if (written === '') continue
    const found = rulePattern.exec(written)
    if (found === null) return `"${written}" is neither DEFAULT nor RULE:[N:FORMAT](PATTERN)s/FROM/TO/`
    const [, isDefault, components = '', format = '', match, from, to = '', global = '', letterCase = ''] = found
    if (isDefault !== undefined) {
      rules.push({ components: null, format: '', match: null, from: null, to: '', letterCase: '' })
      continue
    }
    if (/\$[3-9]/.test(format)) return `"${written}" names a part that no principal of a user has`
    try {
      rules.push({
        components: Number(components),
        format,
        match: match === undefined ? null : new RegExp(`^(?:${match})$`),
        from: from === undefined ? null : new RegExp(from, global),
        to,
        letterCase: letterCase as Rule['letterCase'],
      })
    } catch {
      return `"${written}" holds no regular expression`
    }
  }
  return rules.length === 0 ? 'there is no rule' : rules
}

/** The name by the first rule that fits; null when none does. `realm` is our own: DEFAULT knows its principals alone. */
export function kerberosUser(rules: KerberosRules, principal: string, realm: string): string | null {
  const [, first = '', second, theirs = ''] = principalPattern.exec(principal) ?? []
  if (first === '') return null
  const parts = [theirs, first, second ?? '']
  const count = second === undefined ? 1 : 2
  for (const { components, format, match, from, to, letterCase } of rules) {
    if (components === null) {
      if (theirs === realm) return first
      continue
    }
    if (components !== count) continue
    const base = format.replace(/\$(\d)/g, (_, digit: string) => parts[Number(digit)] ?? '')
    if (match !== null && !match.test(base)) continue
    const name = from === null ? base : base.replace(from, to)
    // What still looks like a principal was not made a name of.
    if (name === '' || /[/@]/.test(name)) return null
    if (letterCase === 'L') return name.toLowerCase()
    return letterCase === 'U' ? name.toUpperCase() : name
  }
  return null
}
