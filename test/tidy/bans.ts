/** What may not stand in the code: the outside world beside the ports, constructs that Node cannot strip, and habits we do not have. */
import { importsOf, lineAt, type SourceFile } from './source-text.ts'

interface Ban {
  readonly pattern: RegExp
  readonly reason: string
}

/** Globals that are the outside world: law 6. */
const worldBans: readonly Ban[] = [
  { pattern: /(?<![.\w$])Date\b(?!\s*:)/g, reason: 'time comes from the Clock port' },
  { pattern: /\bMath\.random\b/g, reason: 'chance comes from the Entropy port' },
  {
    pattern: /(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g,
    reason: 'timers come from the Clock port',
  },
  {
    pattern: /(?<![.\w$])process\b(?!\s*[:(?])/g,
    reason: 'the process belongs to src/node, src/admin and src/main.ts',
  },
  {
    pattern: /(?<![.\w$])(?:performance|console|crypto|navigator|globalThis|require)\b(?!\s*:)/g,
    reason: 'this global is the outside world',
  },
  { pattern: /(?<![.\w$])fetch(?=\((?:['"`]|new URL|url))/gi, reason: 'this global is the outside world' },
]

const styleBans: readonly Ban[] = [
  { pattern: /\bexport\s+default\b/g, reason: 'no default exports' },
  { pattern: /\benum\s+\w+\s*\{/g, reason: 'no enums: `as const` tables and unions' },
  { pattern: /\bnamespace\s+\w+\s*\{/g, reason: 'no namespaces' },
  { pattern: /(?:[:|&]|\bas|\bextends|<[\w\s,[\]]*)\s*\bany\b(?!\s*[:(.])/g, reason: 'no `any`' },
  {
    pattern: /\bexport\s+(?:(?:type\s+)?\*|\{[^}]*\}\s*from\b)/g,
    reason: 'no barrels: import from the file that declares it',
  },
  {
    pattern: /\b(?:class|interface|type)\s+\w+(?:Manager|Helper|Util|Utils|Impl)\b/g,
    reason: 'a name without meaning',
  },
]

const commentBans: readonly Ban[] = [
  { pattern: /\b(?:TO(?:DO)|FIX(?:ME)|XX(?:X)|HA(?:CK))\b/g, reason: 'finish it or leave it out' },
  { pattern: /@ts-(?:ignore|nocheck|expect-error)/g, reason: 'the compiler is not to be silenced' },
]

/** Files outside node, admin and main that may use a deterministic helper of Node: law 6's named exceptions. */
export const namedExceptions: ReadonlyMap<string, readonly string[]> = new Map([
  // A digest shortens names that are too long for Kafka.
  ['src/ingest/mqtt/kafka-topic-name.ts', ['node:crypto']],
  // Digests are what SCRAM is made of.
  // A payload of any size is looked through at the speed of memory.
  ['src/protocol/mqtt/utf8.ts', ['node:buffer']],
  ['src/security/sasl/scram-crypto.ts', ['node:crypto']],
  // A chain of hashes.
  ['src/security/audit/audit-line.ts', ['node:crypto']],
  // A digest tells keys apart in 16 bytes.
  ['src/log/compaction/key-digest.ts', ['node:crypto']],
])

/** Rooms that are ordinary Node code. */
function isOrdinaryNode(path: string): boolean {
  return path.startsWith('src/node/') || path.startsWith('src/admin/') || path === 'src/main.ts'
}

/** Uses of the outside world beside the ports. */
export function worldFaults(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => !isOrdinaryNode(file.path))
    .flatMap((file) => {
      const allowed = namedExceptions.get(file.path) ?? []
      const imports = importsOf(file)
        .filter((fact) => fact.specifier.startsWith('node:') && !allowed.includes(fact.specifier))
        .map((fact) => `${file.path}:${fact.line}: '${fact.specifier}' is the outside world`)
      return [...imports, ...matches(file, file.code, worldBans)]
    })
}

/** Constructs and names we do not use, and what is not finished. */
export function styleFaults(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [
    ...matches(file, file.code, styleBans),
    ...matches(file, file.text, commentBans),
    ...nameFaults(file.path),
    ...lengthFaults(file),
  ])
}

/** The style asks for about 400; here it ends. */
const linesMax = 500
/** Tests may be longer: a table of cases is one noun. */
const testLinesMax = 800

function lengthFaults(file: SourceFile): string[] {
  const limit = file.path.startsWith('test/') ? testLinesMax : linesMax
  const lines = file.text.trimEnd().split('\n').length
  return lines > limit ? [`${file.path}: more than ${limit} lines; it has more than one noun`] : []
}

function nameFaults(path: string): string[] {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.config|\.d)?\.ts$/.test(name))
    return [`${path}: file names are kebab-case`]
  if (/(?:^|-)(?:manager|helpers?|utils?|impl|misc|common)\.ts$|^index\.ts$/.test(name))
    return [`${path}: a name without meaning`]
  return []
}

function matches(file: SourceFile, text: string, bans: readonly Ban[]): string[] {
  return bans.flatMap(({ pattern, reason }) =>
    [...text.matchAll(pattern)].map(
      (match) => `${file.path}:${lineAt(text, match.index)}: ${match[0].trim()}: ${reason}`,
    ),
  )
}

/** Tests that would hide others. */
export function testFaults(files: readonly SourceFile[]): string[] {
  const bans: readonly Ban[] = [
    { pattern: /\b(?:it|test|describe)\.only\b/g, reason: 'hides every other test' },
    { pattern: /\bvi\.(?:mock|spyOn|stubGlobal)\b/g, reason: 'no mocks of our own code' },
  ]
  return files.flatMap((file) => matches(file, file.code, bans))
}

interface WordBan {
  readonly word: RegExp
  readonly reason: string
}

/** Built from parts, so that this file does not hold what it forbids. */
const wordBans: readonly WordBan[] = [
  { word: new RegExp(['/wo', 'rk/'].join('')), reason: 'a path of one machine' },
  { word: new RegExp(['/ro', 'ot/'].join('')), reason: 'a path of one machine' },
  { word: new RegExp(['/ho', 'me/\\w+'].join('')), reason: 'a path of one machine' },
  { word: new RegExp(['"resol', 'ved":'].join('')), reason: 'the address of a registry' },
  {
    word: new RegExp(['https?://[\\w.:-]*(?:regis', 'try|artifac', 'tory|nex', 'us|verdac', 'cio)[\\w.:-]*'].join('')),
    reason: 'the address of a registry',
  },
]

/** Words that tie the repository to one machine. `text` is any tracked text file. */
export function wordFaults(path: string, text: string): string[] {
  const lines = text.split('\n')
  return wordBans.flatMap(({ word, reason }) =>
    lines.flatMap((line, index) =>
      word.test(line) ? [`${path}:${index + 1}: ${word.exec(line)?.[0] ?? ''}: ${reason}`] : [],
    ),
  )
}
