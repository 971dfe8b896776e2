/** `ssl.principal.mapping.rules`: from the subject of a client's certificate to the name of its principal (KIP-371). */

interface Rule {
  /** Null = the subject as it is. */
  readonly pattern: RegExp | null
  readonly replacement: string
  readonly letterCase: 'L' | 'U' | ''
}

export type PrincipalMapping = readonly Rule[]

/** One rule and the comma (or the end) behind it. Slashes inside a pattern or replacement are escaped with a backslash. */
const rulePattern = /\s*(?:(DEFAULT)|RULE:((?:\\.|[^\\/])*)\/((?:\\.|[^\\/])*)\/([LU]?))\s*(?:,\s*|$)/y

/** The rules of a setting, or a sentence that says what is wrong. */
export function parsePrincipalMapping(setting: string): PrincipalMapping | string {
  const rules: Rule[] = []
  const text = setting.trim() === '' ? 'DEFAULT' : setting.trim()
  rulePattern.lastIndex = 0
  while (rulePattern.lastIndex < text.length) {
    const at = rulePattern.lastIndex
    const match = rulePattern.exec(text)
    if (match === null) return `"${text.slice(at)}" is neither DEFAULT nor RULE:pattern/replacement/[LU]`
    const [, isDefault, source, replacement = '', letterCase = ''] = match
    if (isDefault !== undefined || source === undefined) {
      rules.push({ pattern: null, replacement: '', letterCase: '' })
      continue
    }
    try {
      const pattern = new RegExp(`^(?:${source})$`)
      rules.push({ pattern, replacement, letterCase: letterCase as 'L' | 'U' | '' })
    } catch {
      return `"${source}" is no regular expression`
    }
  }
  return rules
}

/** The name of the first rule that matches the whole subject, null when none does: such a client is refused. */
export function mapPrincipal(rules: PrincipalMapping, subject: string): string | null {
  for (const { pattern, replacement, letterCase } of rules) {
    if (pattern === null) return subject
    const groups = pattern.exec(subject)
    if (groups === null) continue
    const name = replacement.replace(/\\(.)|\$(\d)/g, (place, literal: string | undefined, digit: string) => {
      if (literal !== undefined) return literal
      return Number(digit) < groups.length ? (groups[Number(digit)] ?? '') : place
    })
    if (letterCase === 'L') return name.toLowerCase()
    return letterCase === 'U' ? name.toUpperCase() : name
  }
  return null
}
