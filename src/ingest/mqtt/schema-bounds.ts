/**
 * What a JSON Schema may ask for, so that checking a payload takes time in proportion to its size: no recursion, no comparing of many items with each
 * other, references within the schema only. Pure.
 */

/** Subschemas and lists of one schema, and how deep they are nested. */
const nodesMax = 10_000
const depthMax = 64
/** Characters of one pattern. */
const patternLengthMax = 256
/** Items of any kind that may be compared with each other. */
const comparedItemsMax = 64

/** Keywords whose value is data. */
const dataKeywords: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples'])
/** Keywords whose value has subschemas under names. */
const namingKeywords: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependencies',
])
const refusedKeywords: ReadonlyMap<string, string> = new Map([
  ['$dynamicRef', 'it could be recursive'],
  ['$dynamicAnchor', 'it could be recursive'],
  ['$recursiveRef', 'it could be recursive'],
  ['$recursiveAnchor', 'it could be recursive'],
  ['$async', 'payloads are checked at once'],
])

type Node = Readonly<Record<string, unknown>>

/** Why a schema is refused; null when it may be compiled. */
export function schemaFault(schema: object): string | null {
  const walk = new Walk(schema as Node)
  return walk.fault() ?? walk.recursion()
}

/** Why a pattern is refused. */
export function patternFault(pattern: string): string | null {
  return pattern.length > patternLengthMax ? `a pattern has at most ${patternLengthMax} characters` : null
}

class Walk {
  private readonly root: Node
  private readonly rootId: string
  /** Each subschema with the ones it leads to: those in it, and those that it refers to. */
  private readonly edges = new Map<Node, Node[]>()
  private readonly anchors = new Map<string, Node>()
  private readonly references: (readonly [from: Node, to: string])[] = []
  private nodes = 0

  constructor(root: Node) {
    this.root = root
    this.rootId = typeof root['$id'] === 'string' ? root['$id'].replace(/#$/, '') : ''
  }

  fault(): string | null {
    const fault = this.visit(this.root, 0)
    if (fault !== null) return fault
    for (const [from, reference] of this.references) {
      const target = this.resolve(reference)
      if (target === null) return `$ref "${reference}" is not within the schema`
      this.edges.get(from)?.push(target)
    }
    return null
  }

  private visit(node: Node, depth: number): string | null {
    this.nodes += 1
    if (this.nodes > nodesMax) return `it has more than ${nodesMax} parts`
    if (depth > depthMax) return `it is nested more than ${depthMax} deep`
    const edges: Node[] = []
    this.edges.set(node, edges)
    const own = this.keywordFault(node)
    if (own !== null) return own
    for (const [keyword, value] of Object.entries(node)) {
      if (dataKeywords.has(keyword)) continue
      for (const part of partsOf(keyword, value)) {
        edges.push(part)
        const fault = this.visit(part, depth + 1)
        if (fault !== null) return fault
      }
    }
    return null
  }

  private keywordFault(node: Node): string | null {
    for (const [keyword, why] of refusedKeywords) if (keyword in node) return `${keyword} is not supported: ${why}`
    const { $ref, $anchor, $id, uniqueItems, maxItems, items } = node
    if (node !== this.root && $id !== undefined) return '$id in a part of the schema is not supported'
    if (typeof $anchor === 'string') this.anchors.set($anchor, node)
    if (typeof $ref === 'string') this.references.push([node, $ref])
    if (uniqueItems !== true || isScalar(items)) return null
    if (typeof maxItems === 'number' && maxItems <= comparedItemsMax) return null
    return `uniqueItems compares all items with each other: it needs items of one scalar type, or a maxItems of at most ${comparedItemsMax}`
  }

  private resolve(reference: string): Node | null {
    const isOwn = reference.startsWith('#') || (this.rootId !== '' && reference.startsWith(`${this.rootId}#`))
    if (!isOwn) return this.rootId !== '' && reference === this.rootId ? this.root : null
    const fragment = decode(reference.slice(reference.indexOf('#') + 1))
    if (fragment === null) return null
    if (fragment === '') return this.root
    if (!fragment.startsWith('/')) return this.anchors.get(fragment) ?? null
    let value: unknown = this.root
    for (const step of fragment.slice(1).split('/')) {
      const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
      if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return null
      value = (value as Node)[name]
    }
    // `true` and `false` lead nowhere.
    if (typeof value === 'boolean') return {}
    return isNode(value) && this.edges.has(value) ? value : null
  }

  /** A way from a part of the schema back to itself. */
  recursion(): string | null {
    const state = new Map<Node, 'open' | 'done'>()
    const isRound = (node: Node): boolean => {
      const known = state.get(node)
      if (known !== undefined) return known === 'open'
      state.set(node, 'open')
      const found = (this.edges.get(node) ?? []).some(isRound)
      state.set(node, 'done')
      return found
    }
    return isRound(this.root) ? 'a recursive $ref is not supported: its work has no bound' : null
  }
}

/** Subschemas in the value of a keyword. */
function partsOf(keyword: string, value: unknown): Node[] {
  if (namingKeywords.has(keyword)) return isNode(value) ? Object.values(value).filter(isNode) : []
  if (Array.isArray(value)) return value.filter(isNode)
  return isNode(value) ? [value] : []
}

function isNode(value: unknown): value is Node {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function isScalar(items: unknown): boolean {
  if (!isNode(items)) return false
  const types = Array.isArray(items['type']) ? items['type'] : [items['type']]
  const isKnown = types.every((type) => ['string', 'number', 'integer', 'boolean', 'null'].includes(String(type)))
  return types.length > 0 && isKnown
}

function decode(fragment: string): string | null {
  try {
    return decodeURIComponent(fragment)
  } catch {
    return null
  }
}
