/** C programs of the bench, compiled when needed into `.cache/bench`. */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../test/interop/headwater.ts'
import { run } from './measure.ts'

/** Why programs that speak TLS cannot be compiled here, in one line; null when they can. */
export function opensslHeadersMissing(): string | null {
  return existsSync('/usr/include/openssl/ssl.h')
    ? null
    : 'skipped: no headers of OpenSSL to compile the load generator with (Debian: apt-get install libssl-dev)'
}

/** Path of the compiled `bench/programs/<name>.c`. */
export async function compiled(name: string, options: { readonly tls?: boolean } = {}): Promise<string> {
  const sources = join(repositoryRoot, 'bench/programs')
  const source = join(sources, `${name}.c`)
  const folder = join(repositoryRoot, '.cache/bench')
  const binary = join(folder, options.tls === true ? `${name}.tls` : name)
  mkdirSync(folder, { recursive: true })
  const headers = ['stream.h', 'mqtt-length.h'].map((header) => join(sources, header))
  const newest = Math.max(...[source, ...headers].map((file) => statSync(file).mtimeMs))
  if (!existsSync(binary) || statSync(binary).mtimeMs < newest) {
    const libraries = options.tls === true ? ['-lssl', '-lcrypto'] : []
    await run('gcc', [
      ...['-O2', '-Wall', '-pthread', ...(options.tls === true ? ['-DWITH_TLS'] : [])],
      ...['-o', binary, source, ...libraries],
    ])
  }
  return binary
}
