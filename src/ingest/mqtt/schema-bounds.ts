/**
 * What a JSON Schema may ask for, so that checking a payload takes time in proportion to its size: no recursion, no comparing of many items with each
 * other, references within the schema only. Pure.
 */

/** Subschemas and lists of one schema, and how deep they are nested. */
const nodesMax = 10_000
const depthMax = 64
/** The same where references are followed. */
const heightMax = 256
/** Subschemas on all ways from the root: one that is referred to twice is checked twice, and what it refers to twice four times. */
const checksMax = 100_000
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

/** Those of them whose subschemas are checked where they are referred to. */
const definingKeywords: ReadonlySet<string> = new Set(['$defs', 'definitions'])

type Node = Readonly<Record<string, unknown>>

interface Edges {
  /** In it, and checked with it, or referred to. */
  readonly applied: Node[]
  /** In it alone. */
  readonly defined: Node[]
}

const noEdges: Edges = { applied: [], defined: [] }

/** Why a schema is refused; null when it may be compiled. */
export function schemaFault(schema: object): string | null {
  const walk = new Walk(schema as Node)
  return walk.fault() ?? walk.ways()
}

/** Why a pattern is refused. */
export function patternFault(pattern: string): string | null {
  return pattern.length > patternLengthMax ? `a pattern has at most ${patternLengthMax} characters` : null
}

class Walk {
  private readonly root: Node
  private readonly rootId: string
  /** Each subschema with the ones it leads to. */
  private readonly edges = new Map<Node, Edges>()
  private readonly sizes = new Map<Node, { readonly height: number; readonly checks: number }>()
  /** Those that are being measured. */
  private readonly open = new Set<Node>()
  private isCut = false
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
      this.edges.get(from)?.applied.push(target)
    }
    return null
  }

  private visit(node: Node, depth: number): string | null {
    this.nodes += 1
    if (this.nodes > nodesMax) return `it has more than ${nodesMax} parts`
    if (depth > depthMax) return `it is nested more than ${depthMax} deep`
    const edges: Edges = { applied: [], defined: [] }
    this.edges.set(node, edges)
    const own = this.keywordFault(node)
    if (own !== null) return own
    for (const [keyword, value] of Object.entries(node)) {
      if (dataKeywords.has(keyword)) continue
      for (const part of partsOf(keyword, value)) {
        edges[definingKeywords.has(keyword) ? 'defined' : 'applied'].push(part)
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

  /** What references multiply: a way back, a way that is very long, or more ways than can be gone. */
  ways(): string | null {
    if (this.measure(this.root, 0) === 'recursive') return 'a recursive $ref is not supported: its work has no bound'
    const { height = 0, checks = 0 } = this.sizes.get(this.root) ?? {}
    if (height > heightMax || this.isCut) return `with each $ref followed it is nested more than ${heightMax} deep`
    return checks > checksMax ? `with each $ref followed it has more than ${checksMax} parts to check` : null
  }

  /** Finds the size of a part and of all that it leads to, unless that is too deep. */
  private measure(node: Node, depth: number): 'recursive' | 'measured' {
    if (this.sizes.has(node)) return 'measured'
    if (this.open.has(node)) return 'recursive'
    this.isCut ||= depth > heightMax
    if (this.isCut) return 'measured'
    this.open.add(node)
    const { applied, defined } = this.edges.get(node) ?? noEdges
    let [height, checks] = [0, 1]
    for (const part of [...applied, ...defined]) if (this.measure(part, depth + 1) === 'recursive') return 'recursive'
    for (const part of applied) {
      const size = this.sizes.get(part)
      height = Math.max(height, 1 + (size?.height ?? 0))
      checks = Math.min(checksMax + 1, checks + (size?.checks ?? 0))
    }
    for (const part of defined) height = Math.max(height, this.sizes.get(part)?.height ?? 0)
    this.open.delete(node)
    this.sizes.set(node, { height, checks })
    return 'measured'
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
