/** Is there a topic that both filters match? Levels as in SUBSCRIBE: `+`, `#` at the end (which takes its parent too), or text. */
export function filtersOverlap(one: string, other: string): boolean {
  const left = one.split('/')
  const right = other.split('/')
  for (let index = 0; ; index += 1) {
    const a = left[index]
    const b = right[index]
    if (a === '#' || b === '#') return true
    if (a === undefined || b === undefined) return a === b
    if (a !== b && a !== '+' && b !== '+') return false
  }
}

/** The topic filter of a rule: `{name}` and `{name...}` as what they match. */
export function filterOfRule(match: string): string {
  return match.replaceAll(/\{[^/{}]*\.\.\.\}/g, '#').replaceAll(/\{[^/{}]*\}/g, '+')
}
