/**
 * Builds one self-contained file from the source: `npm run build [-- --arch x64|arm64] [-- --smoke]` -> dist/headwater-<arch>.
 *
 * esbuild bundles main and the writer's entry, Node's own single-executable support makes a blob of them with the native add-ons as
 * assets, postject puts the blob into the Node binary that npm installed. Nothing is downloaded. What bit:
 *   - strip comes before injecting; afterwards it destroys the blob.
 *   - the bundle is CommonJS, because that is what a blob may hold: no top-level await, `import.meta.url` is defined by hand.
 *   - the loaders of napi-rs ask for a platform package and its package.json; `require` inside a blob knows only built-ins. A plugin
 *     turns the first into an asset that is loaded with `process.dlopen` (src/node/assets.ts) and bundles the second.
 *   - no minifying of names: in stack traces they are worth the bytes. Blanks are not (V8 keeps the text), in lines short enough to be
 *     pointed at. The code cache is for this machine's architecture only.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build, type Plugin } from 'esbuild'

const root = join(import.meta.dirname, '..')
const work = join(root, 'dist/build')
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/** Packages that hold nothing but a native add-on for one platform; the asset's name is made of the file's. */
const platformPackage = /^(?:@node-rs\/crc32|@antoniomuso\/lz4-napi|@napi-rs\/snappy)-linux-(?:x64|arm64)-gnu$/

interface Target {
  readonly arch: 'x64' | 'arm64'
  readonly file: string
  readonly isHost: boolean
}

await main()

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { arch: { type: 'string', default: process.arch }, smoke: { type: 'boolean', default: false } },
  })
  if (values.arch !== 'x64' && values.arch !== 'arm64') fail(`no binary for ${values.arch}: x64 and arm64 are built`)
  const target: Target = {
    arch: values.arch,
    file: join(root, `dist/headwater-${values.arch}`),
    isHost: values.arch === process.arch,
  }
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  const assets = await bundle(target)
  const blob = makeBlob(target, assets)
  makeBinary(target, blob)
  console.log(`${target.file}: ${(statSync(target.file).size / 1e6).toFixed(1)} MB`)
  if (values.smoke) smoke(target)
}

/** Bundles main.cjs and writer.cjs; answers the assets by name. */
async function bundle(target: Target): Promise<Map<string, string>> {
  const assets = new Map<string, string>()
  const common = {
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    absWorkingDir: root,
    logLevel: 'warning',
    legalComments: 'none',
    minifyWhitespace: true,
    lineLimit: 160,
  } as const
  await build({
    ...common,
    entryPoints: ['src/main.ts'],
    outfile: join(work, 'main.cjs'),
    define: { 'import.meta.url': 'importMetaUrl', 'import.meta.dirname': '__dirname' },
    banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
    // Optional speed-ups of ws (inside mqtt): it asks for them in a try.
    external: ['bufferutil', 'utf-8-validate'],
    plugins: [nativeAssets(target, assets)],
  })
  await build({ ...common, entryPoints: ['src/node/writer.js'], outfile: join(work, 'writer.cjs') })
  oneByteText(join(work, 'main.cjs'))
  assets.set('writer.cjs', join(work, 'writer.cjs'))
  assets.set('headwater.node', join(root, `src/node/addon/prebuilt/${target.arch}/headwater.node`))
  return assets
}

/** V8 keeps a source with one character beyond Latin-1 in two bytes each. In code esbuild escapes them: those that are left stand in comments. */
function oneByteText(file: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/[^\0-\x7f]/g, '?'))
}

/** Platform packages become assets; those of other platforms stay outside and are never reached. */
function nativeAssets(target: Target, assets: Map<string, string>): Plugin {
  const require = createRequire(join(root, 'package.json'))
  return {
    name: 'native-assets',
    setup(setup) {
      setup.onResolve({ filter: /\.node$/ }, ({ path }) => ({ path, external: true }))
      setup.onResolve(
        { filter: /-(?:linux|darwin|win32|android|freebsd|openharmony|wasm32)-?[^/]*(?:\/package\.json)?$/ },
        ({ path }) => {
          const name = path.replace(/\/package\.json$/, '')
          if (!platformPackage.test(name) || !name.includes(`-${target.arch}-`)) return { path, external: true }
          if (path !== name) return { path: require.resolve(path) }
          return { path: name, namespace: 'native-asset' }
        },
      )
      setup.onResolve({ filter: /\.wasi\.cjs$|-wasm32-wasi$/ }, ({ path }) => ({ path, external: true }))
      setup.onLoad({ filter: /.*/, namespace: 'native-asset' }, ({ path }) => {
        const file = nativeFile(path, require)
        const name = `${path.replace(/^.*\//, '').replace(/-linux-.*$/, '')}.node`
        assets.set(name, file)
        const contents = `module.exports = require(${JSON.stringify(join(root, 'src/node/assets.ts'))}).loadNativeAsset(${JSON.stringify(name)}).exports`
        return { contents, loader: 'js', resolveDir: root }
      })
    },
  }
}

function nativeFile(name: string, require: NodeJS.Require): string {
  try {
    const file = require.resolve(`${name}/package.json`)
    const main: unknown = (JSON.parse(readFileSync(file, 'utf8')) as { readonly main?: unknown }).main
    return join(file, '..', String(main))
  } catch {
    return fail(
      `${name} is not installed: npm install --no-save --force --os=linux --cpu=<arch> ${name}@<its version in package-lock.json>`,
    )
  }
}

/** The blob is made by the Node that will carry it: same version. */
function makeBlob(target: Target, assets: ReadonlyMap<string, string>): string {
  const blob = join(work, 'sea.blob')
  const config = join(work, 'sea.json')
  writeFileSync(
    config,
    JSON.stringify({
      main: join(work, 'main.cjs'),
      output: blob,
      disableExperimentalSEAWarning: true,
      useSnapshot: false,
      useCodeCache: target.isHost,
      // NODE_OPTIONS of the surroundings must not reach into the daemon.
      execArgvExtension: 'none',
      // A third of the heap's young generation of Node: 50 MB less under load, and no slower.
      execArgv: ['--max-semi-space-size=8'],
      assets: Object.fromEntries(assets),
    }),
  )
  run(process.execPath, ['--experimental-sea-config', config])
  return blob
}

function makeBinary(target: Target, blob: string): void {
  const base = join(root, `node_modules/node-linux-${target.arch}/bin/node`)
  if (!existsSync(base)) fail(`${base} is not there: npm ci installs it on that architecture`)
  const bare = join(work, 'node')
  copyFileSync(base, bare)
  chmodSync(bare, 0o755)
  const strip = target.isHost ? 'strip' : `${target.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu-strip`
  const stripped = spawnSync(strip, ['--strip-unneeded', bare])
  if (stripped.status !== 0)
    console.log(`not stripped: no ${strip} here (Debian: binutils); the binary is about 18 MB larger`)
  run(process.execPath, ['node_modules/postject/dist/cli.js', bare, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', fuse])
  copyFileSync(bare, target.file)
  chmodSync(target.file, 0o755)
}

function smoke(target: Target): void {
  if (!target.isHost) fail('a binary for another architecture cannot be tried here')
  run(process.execPath, [join(root, 'test/deploy/smoke.ts'), target.file])
}

function run(program: string, args: readonly string[]): void {
  const outcome = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (outcome.status !== 0)
    fail(`${program} ${args.join(' ')} ended with ${outcome.status ?? outcome.signal ?? 'nothing'}`)
}

function fail(sentence: string): never {
  console.error(`build: ${sentence}`)
  process.exit(1)
}
