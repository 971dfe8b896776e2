/** Each rule of the tidy test is broken here on purpose: a scanner that finds nothing proves nothing. */
import { describe, expect, it } from 'vitest'
import { styleFaults, testFaults, wordFaults, worldFaults } from './bans.ts'
import { cycleFaults, layerFaults } from './layers.ts'
import { blankCommentsAndStrings, importsOf, sourceFile } from './source-text.ts'

describe('layers', () => {
  const broken: [string, string, string, string][] = [
    [
      'a lower layer that imports a higher one',
      'src/log/a.ts',
      "import { x } from '../broker/b.ts'",
      'src/log imports src/broker/b.ts, which is above',
    ],
    [
      'folders of one layer',
      'src/mirror/a.ts',
      "import { x } from '../ingest/b.ts'",
      'src/mirror imports src/ingest/b.ts, which is of the same layer',
    ],
    [
      'a type looks up as well',
      'src/base/a.ts',
      "import type { X } from '../log/b.ts'",
      'src/base imports src/log/b.ts, which is above',
    ],
    [
      'an import on demand',
      'src/base/a.ts',
      "const b = await import('../log/b.ts')",
      'src/base imports src/log/b.ts, which is above',
    ],
    [
      'an export from elsewhere',
      'src/base/a.ts',
      "export { x } from '../log/b.ts'",
      'src/base imports src/log/b.ts, which is above',
    ],
    [
      'an import over several lines',
      'src/base/a.ts',
      "import {\n  x,\n} from '../log/b.ts'",
      'src/base imports src/log/b.ts, which is above',
    ],
    [
      'the operating system from a room',
      'src/appliance.ts',
      "import { x } from './node/disk.ts'",
      'only src/main.ts imports src/node',
    ],
    [
      'the operating system that knows a room',
      'src/node/a.ts',
      "import { x } from '../log/b.ts'",
      'src/node imports only src/base',
    ],
    [
      'the assembly from the surfaces',
      'src/admin/a.ts',
      "import { x } from '../config.ts'",
      'src/admin imports src/config.ts, which is above',
    ],
    ['a folder that is in no layer', 'src/utils/a.ts', "import { x } from '../base/b.ts'", 'src/utils is in no layer'],
    ['a package in portable code', 'src/broker/a.ts', "import { pino } from 'pino'", "'pino' may be imported only in"],
    ['an import without its .ts', 'src/log/a.ts', "import { x } from '../base/b'", 'lacks its .ts'],
    ['an import out of src', 'src/log/a.ts', "import { x } from '../../test/b.ts'", 'test/b.ts is not under src'],
  ]
  it.each(broken)('refuses %s', (_name, path, text, fault) => {
    expect(layerFaults([sourceFile(path, text)])).toEqual([expect.stringContaining(fault)])
  })

  it('lets pass what points down', () => {
    const files = [
      sourceFile(
        'src/main.ts',
        "import { x } from './node/disk.ts'\nimport { y } from './appliance.ts'\nimport { z } from 'node:fs'",
      ),
      sourceFile(
        'src/broker/a.ts',
        "import { x } from '../log/b.ts'\nimport { y } from './c.ts'\n// import '../ingest/d.ts'",
      ),
      sourceFile('src/broker/text.ts', 'const example = "import { x } from \'../ingest/d.ts\'"'),
    ]
    expect(layerFaults(files)).toEqual([])
  })

  it('finds a cycle of three files, once', () => {
    const files = [
      sourceFile('src/log/a.ts', "import { b } from './b.ts'"),
      sourceFile('src/log/b.ts', "import { type C } from './c.ts'\nimport type { A } from './a.ts'"),
      sourceFile('src/log/c.ts', "import { a } from './a.ts'"),
      sourceFile('src/log/d.ts', "import { a } from './a.ts'"),
    ]
    expect(cycleFaults(files)).toEqual(['cycle: src/log/a.ts -> src/log/b.ts -> src/log/c.ts -> src/log/a.ts'])
  })
})

describe('bans', () => {
  it.each([
    ['const now = Date.now()', 'Date: time comes'],
    ['const at = new Date(5)', 'Date: time comes'],
    ['const x = Math.random()', 'Math.random: chance'],
    ['setTimeout(() => x, 5)', 'setTimeout: timers'],
    ['const t = setInterval', 'setInterval: timers'],
    ['queueMicrotask(x)', 'queueMicrotask: timers'],
    ['if (process.env.X) y()', 'process: the process'],
    ['console.log(1)', 'console: this global'],
    ['const r = await fetch(url)', 'fetch: this global'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the scanned code is a template
    ['const s = `at ${Date.now()} ms`', 'Date: time comes'],
    ["import { readFileSync } from 'node:fs'", "'node:fs' is the outside world"],
    ["const fs = await import('node:fs')", "'node:fs' is the outside world"],
  ])('refuses the outside world in a room: %s', (text, fault) => {
    expect(worldFaults([sourceFile('src/broker/a.ts', text)])).toEqual([expect.stringContaining(fault)])
  })

  it('does not mistake comments, strings and other names for the outside world', () => {
    const text = [
      '// Date.now() would be wrong',
      '/* setTimeout */',
      "const a = 'process.env'",
      'const b = `Math.random`',
      'record.process()',
      'const c = { process: 1 }',
      'updateDate()',
      'const d = /Date.now/',
      "const e = 'it\\'s Date.now()'",
    ].join('\n')
    expect(worldFaults([sourceFile('src/broker/a.ts', text)])).toEqual([])
    expect(
      worldFaults([sourceFile('src/node/clock.ts', 'Date.now()'), sourceFile('src/main.ts', 'process.exitCode = 1')]),
    ).toEqual([])
  })

  it.each([
    ['export default 5', 'no default exports'],
    ['enum Colour { red }', 'no enums'],
    ['namespace A { }', 'no namespaces'],
    ['const x: any = 1', 'no `any`'],
    ['const x = y as any', 'no `any`'],
    ['const x: Map<string, any> = y', 'no `any`'],
    ["export * from './b.ts'", 'no barrels'],
    ["export { b } from './b.ts'", 'no barrels'],
    ['class LogManager {}', 'a name without meaning'],
    [`// ${'TO'}DO later`, 'finish it'],
    [`// @ts-${'ignore'}`, 'not to be silenced'],
    [`${'\n'.repeat(600)}x`, 'more than 500 lines'],
  ])('refuses %j', (text, fault) => {
    expect(styleFaults([sourceFile('src/broker/a.ts', text)])).toEqual([expect.stringContaining(fault)])
  })

  it.each(['src/base/utils.ts', 'src/base/log-helper.ts', 'src/base/index.ts', 'src/base/LogFile.ts'])(
    'refuses the name %s',
    (path) => {
      expect(styleFaults([sourceFile(path, '')])).toHaveLength(1)
    },
  )

  it('refuses a test that hides others and a mock of our own code', () => {
    expect(testFaults([sourceFile('test/a.test.ts', "it.only('x', y)\nvi.mock('../src/log/a.ts')")])).toHaveLength(2)
  })

  it.each([
    ['/wo', 'rk/main/x'],
    ['/ro', 'ot/.npmrc'],
    ['/ho', 'me/someone/x'],
    ['"resol', 'ved": "y"'],
    ['https://regis', 'try.example.org/'],
  ])('refuses a word of one machine: %s%s', (first, second) => {
    expect(wordFaults('docs/a.md', `see ${first}${second}`)).toHaveLength(1)
  })
})

describe('the scanner', () => {
  it('blanks comments and strings but keeps code inside templates, lengths and lines', () => {
    const text = "a('b') // c\n/* d\n e */ f(`g${h('i')}j`) / k /l/g"
    const code = blankCommentsAndStrings(text)
    expect(code).toHaveLength(text.length)
    expect(code.replace(/\s+/g, ' ')).toBe("a(' ') f(` ${h(' ')} `) / k /l/g")
  })

  it('knows types from values and demand from start', () => {
    const file = sourceFile(
      'src/a.ts',
      "import type { A } from './a.ts'\nimport { type B } from './b.ts'\nawait import('./c.ts')\nimport './d.ts'",
    )
    expect(importsOf(file)).toEqual([
      { specifier: './a.ts', line: 1, isType: true, isDynamic: false },
      { specifier: './b.ts', line: 2, isType: false, isDynamic: false },
      { specifier: './c.ts', line: 3, isType: false, isDynamic: true },
      { specifier: './d.ts', line: 4, isType: false, isDynamic: false },
    ])
  })
})
