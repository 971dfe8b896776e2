/** A filter of a rule, level by level, as it was compiled. */
export type FilterPart =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'one' | 'rest'; readonly name: string | null }

/** Is there a topic that the rule and the subscription both match? `#` at the end takes its parent too. */
export function filtersOverlap(rule: readonly FilterPart[], subscription: string): boolean {
  const levels = subscription.split('/')
  for (let index = 0; ; index += 1) {
    const part = rule[index]
    const level = levels[index]
    if (part?.kind === 'rest' || level === '#') return true
    if (part === undefined || level === undefined) return part === undefined && level === undefined
    if (part.kind === 'literal' && level !== '+' && part.text !== level) return false
  }
}
