/** Which folder may look at which: the layer table of the architecture as one array, and cycles. */
import { type ImportFact, importsOf, resolveImport, type SourceFile } from './source-text.ts'

/** From the bottom up. A folder imports itself and lower layers; folders of one layer do not import each other. */
export const layers: readonly (readonly string[])[] = [
  ['base'],
  ['protocol'],
  ['log', 'security'],
  ['cluster'],
  ['coordinator'],
  ['tiering', 'registry'],
  ['broker'],
  ['ingest', 'mirror', 'stream'],
  ['admin'],
  ['(assembly)'],
]

/** Beside the layers: the operating system. It imports base, and only main.ts imports it. */
const side = 'node'
const assembly = '(assembly)'

/** Packages that code outside `node` and `admin` may use. (Node's own modules are a matter of bans.ts.) */
const portablePackages: ReadonlyMap<string, readonly string[]> = new Map([
  ['src/base/crc32c.ts', ['@node-rs/crc32']],
  ['src/config.ts', ['zod']],
  ['src/ingest/mqtt/payload-schema.ts', ['ajv', 'ajv/dist/2020.js', 're2js']],
  ['src/protocol/sparkplug/wire-fields.ts', ['@bufbuild/protobuf/wire']],
  ['src/config-keys.ts', ['zod']],
  ['src/config-listeners.ts', ['zod']],
  ['src/config-kerberos.ts', ['zod']],
  ['src/config-outbound.ts', ['zod']],
  ['src/config-tokens.ts', ['zod']],
  ['src/config-faults.ts', ['zod']],
  ['src/config-reader.ts', ['yaml']],
  ['src/config-values.ts', ['zod']],
])

/** The folder under src, or `(assembly)` for the files that lie in src itself. */
export function roomOf(path: string): string {
  const parts = path.split('/')
  return parts.length === 2 ? assembly : (parts[1] ?? '')
}

function layerOf(room: string): number {
  return layers.findIndex((rooms) => rooms.includes(room))
}

/** One sentence for each import that looks the wrong way. */
export function layerFaults(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => importsOf(file).flatMap((fact) => faultsOfImport(file, fact)))
}

function faultsOfImport(file: SourceFile, fact: ImportFact): string[] {
  const where = `${file.path}:${fact.line}`
  const from = roomOf(file.path)
  if (from !== side && layerOf(from) === -1) return [`${where}: src/${from} is in no layer`]
  if (!fact.specifier.startsWith('.')) return packageFaults(file.path, from, fact, where)
  if (file.path === 'src/main.ts' && fact.specifier === '../package.json') return []
  if (!fact.specifier.endsWith('.ts')) return [`${where}: '${fact.specifier}' lacks its .ts`]
  const target = resolveImport(file.path, fact.specifier)
  if (!target.startsWith('src/')) return [`${where}: ${target} is not under src`]
  const to = roomOf(target)
  if (from === to) return []
  if (to === side) return mayImportSide(file.path, target) ? [] : [`${where}: only src/main.ts imports src/node`]
  if (from === side) return to === 'base' ? [] : [`${where}: src/node imports only src/base`]
  if (layerOf(to) === -1) return [`${where}: src/${to} is in no layer`]
  if (layerOf(to) < layerOf(from)) return []
  const relation = layerOf(to) === layerOf(from) ? 'is of the same layer' : 'is above'
  return [`${where}: src/${from} imports ${target}, which ${relation}`]
}

/** main.ts imports it all; the list of all metrics may read a table, which is data. */
function mayImportSide(path: string, target: string): boolean {
  return path === 'src/main.ts' || (path === 'src/metric-tables.ts' && target.endsWith('-metrics.ts'))
}

function packageFaults(path: string, from: string, fact: ImportFact, where: string): string[] {
  const isOrdinaryNode = from === side || from === 'admin' || path === 'src/main.ts'
  if (isOrdinaryNode || fact.specifier.startsWith('node:') || portablePackages.get(path)?.includes(fact.specifier))
    return []
  return [`${where}: '${fact.specifier}' may be imported only in src/node, src/admin and src/main.ts`]
}

/** Each cycle of files as one sentence. Imports of types alone are erased and make none. */
export function cycleFaults(files: readonly SourceFile[]): string[] {
  const edges = new Map(
    files.map((file) => [
      file.path,
      importsOf(file)
        .filter((fact) => fact.specifier.startsWith('.') && !fact.isDynamic && !fact.isType)
        .map((fact) => resolveImport(file.path, fact.specifier)),
    ]),
  )
  const done = new Set<string>()
  const faults: string[] = []
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path)
    if (start !== -1) faults.push(`cycle: ${[...trail.slice(start), path].join(' -> ')}`)
    if (start !== -1 || done.has(path)) return
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return faults
}
