/** A Python with the foreign client libraries: `HEADWATER_PYTHON`, or a virtual environment made once under `.cache/`. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from './headwater.ts'

const packages = ['confluent-kafka==2.16.1', 'aiokafka==0.14.0', 'paho-mqtt==2.1.0']

type ForeignPython = { readonly path: string } | { readonly path: null; readonly why: string }

let found: ForeignPython | null = null

/** The interpreter's path, looked for once; null when it cannot be had, with the reason on `why`. */
export function foreignPython(): ForeignPython {
  found ??= findPython()
  return found
}

/** Why there is none, for `missing` of a case; null when there is one. */
export function pythonMissing(): string | null {
  const python = foreignPython()
  return python.path === null ? python.why : null
}

function findPython(): ForeignPython {
  const given = process.env['HEADWATER_PYTHON']
  if (given !== undefined) return { path: given }
  const folder = join(repositoryRoot, '.cache', 'python')
  const python = join(folder, 'bin', 'python')
  const works = (): boolean => existsSync(python) && run(python, ['-c', 'import confluent_kafka, aiokafka, paho'])
  if (works()) return { path: python }
  mkdirSync(join(repositoryRoot, '.cache'), { recursive: true })
  if (!run('python3', ['-m', 'venv', folder])) {
    return { path: null, why: 'skipped: python3 with venv is missing (Debian: apt-get install python3-venv)' }
  }
  if (!run(python, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...packages]) || !works()) {
    return { path: null, why: `skipped: pip could not install ${packages.join(' ')}` }
  }
  return { path: python }
}

function run(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}
