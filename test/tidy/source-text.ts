/** Reads the tree, and TypeScript well enough for the rules: comments and string contents can be blanked, imports found. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export interface SourceFile {
  /** Relative to the repository, with slashes. */
  readonly path: string
  readonly text: string
  /** The text with comments and the contents of strings blanked, line for line. Code inside template strings stays. */
  readonly code: string
}

export const repositoryRoot = join(import.meta.dirname, '../..')

/** Every .ts file under a folder of the repository, in path order. */
export function sourceFiles(folder: string): SourceFile[] {
  const entries = readdirSync(join(repositoryRoot, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(repositoryRoot, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort()
    .map((path) => sourceFile(path, readFileSync(join(repositoryRoot, path), 'utf8')))
}

export function sourceFile(path: string, text: string): SourceFile {
  return { path, text, code: blankCommentsAndStrings(text) }
}

export interface ImportFact {
  readonly specifier: string
  readonly line: number
  /** `import type`, or an export of types only: erased when it runs. */
  readonly isType: boolean
  readonly isDynamic: boolean
}

/** Imports, exports from elsewhere, and imports on demand. */
export function importsOf(file: SourceFile): ImportFact[] {
  const facts: ImportFact[] = []
  const pattern = /\b(?:(import|export)\b([^;'"()]*?)\bfrom\s*|(import)\s*|(import)\s*\(\s*)(['"])([^'"\n]*)\5/g
  for (const match of file.text.matchAll(pattern)) {
    // In a comment or a string the keyword was blanked.
    if (!/^(import|export)/.test(file.code.slice(match.index, match.index + 6))) continue
    facts.push({
      specifier: match[6] ?? '',
      line: lineAt(file.text, match.index),
      isType: /^\s*type\b/.test(match[2] ?? ''),
      isDynamic: match[4] !== undefined,
    })
  }
  return facts
}

/** The repository path a relative import means. */
export function resolveImport(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1)
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  return parts.join('/')
}

export function lineAt(text: string, index: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < index; at = text.indexOf('\n', at + 1)) line++
  return line
}

/** Keeps length and lines. Regular expressions are told from divisions by what stands before them. */
export function blankCommentsAndStrings(text: string): string {
  const output = text.split('')
  const blank = (from: number, to: number) => {
    for (let at = from; at < to; at++) if (output[at] !== '\n') output[at] = ' '
  }
  /** Open `${` of template strings: depth of braces inside. */
  const templates: number[] = []
  let at = 0
  const skipTemplateText = () => {
    const start = at
    while (at < text.length && text[at] !== '`') {
      if (text[at] === '\\') at++
      else if (text[at] === '$' && text[at + 1] === '{') {
        blank(start, at)
        at += 2
        templates.push(0)
        return
      }
      at++
    }
    blank(start, at)
    at++
  }
  while (at < text.length) {
    const char = text[at] ?? ''
    const next = text[at + 1]
    if (char === '/' && (next === '/' || next === '*')) {
      const end = next === '/' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2) + 2
      const stop = end <= 1 ? text.length : end
      blank(at, stop)
      at = stop
    } else if (char === '"' || char === "'") {
      const end = endOfQuoted(text, at, char)
      blank(at + 1, end)
      at = end + 1
    } else if (char === '`') {
      at++
      skipTemplateText()
    } else if (char === '/' && startsRegex(output, at)) {
      const end = endOfRegex(text, at)
      blank(at + 1, end)
      at = end + 1
    } else {
      const depth = templates.at(-1)
      if (char === '{' && depth !== undefined) templates[templates.length - 1] = depth + 1
      if (char === '}' && depth !== undefined) {
        if (depth === 0) {
          templates.pop()
          at++
          skipTemplateText()
          continue
        }
        templates[templates.length - 1] = depth - 1
      }
      at++
    }
  }
  return output.join('')
}

function endOfQuoted(text: string, start: number, quote: string): number {
  let at = start + 1
  while (at < text.length && text[at] !== quote && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1
  return at
}

function endOfRegex(text: string, start: number): number {
  let at = start + 1
  let inClass = false
  while (at < text.length && text[at] !== '\n') {
    if (text[at] === '\\') at++
    else if (text[at] === '[') inClass = true
    else if (text[at] === ']') inClass = false
    else if (text[at] === '/' && !inClass) break
    at++
  }
  return at
}

function startsRegex(before: readonly string[], at: number): boolean {
  let back = at - 1
  while (back >= 0 && /\s/.test(before[back] ?? '')) back--
  if (back < 0) return true
  if (/[(,=:[!&|?{};+\-*%<>~^]/.test(before[back] ?? '')) return true
  const word = /\b(return|typeof|case|in|of|do|else|void|await|yield)$/
  return word.test(before.slice(Math.max(0, back - 9), back + 1).join(''))
}
