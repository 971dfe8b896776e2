/** Which file system a folder is on: /proc/self/mountinfo, see proc_pid_mountinfo(5). */

export interface Mount {
  readonly point: string
  /** `major:minor`. */
  readonly device: string
  readonly type: string
  readonly source: string
  /** Of the mount and of the file system, `barrier=0` as it is written there. */
  readonly options: ReadonlySet<string>
}

/** The mount that holds `path`, an absolute path without links: the longest point above it, the last one mounted there. */
export function mountOf(path: string, mountInfo: string): Mount | null {
  let best: Mount | null = null
  for (const line of mountInfo.split('\n')) {
    const mount = parse(line)
    if (mount === null || !isAbove(mount.point, path)) continue
    if (best === null || mount.point.length >= best.point.length) best = mount
  }
  return best
}

/** Where an overlay keeps what is written; null = it is read-only. */
export function upperFolder({ options }: Mount): string | null {
  const option = [...options].find((each) => each.startsWith('upperdir='))
  return option === undefined ? null : option.slice('upperdir='.length)
}

function parse(line: string): Mount | null {
  const [own, system] = line.split(' - ')
  const [, , device, , point, options] = own?.split(' ') ?? []
  const [type, source, more] = system?.split(' ') ?? []
  if (device === undefined || point === undefined || type === undefined || source === undefined) return null
  const all = [...(options ?? '').split(','), ...(more ?? '').split(',')]
  return { point: unescaped(point), device, type, source: unescaped(source), options: new Set(all.map(unescaped)) }
}

/** Blanks and the like are written in octal. */
function unescaped(written: string): string {
  return written.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

function isAbove(point: string, path: string): boolean {
  return point === '/' || path === point || path.startsWith(`${point}/`)
}
