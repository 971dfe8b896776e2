/**
 * Files that the service manager hands over: wherever the configuration names a file, `credential:NAME` is the one of this name in
 * $CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredential=).
 */

const prefix = 'credential:'
/** systemd wants names that are file names; more than that nobody needs. */
const lawfulName = /^[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]{0,254}$/

/** Puts paths in the place of credentials, in `written` itself; `refuse` is told what cannot be one, by its path. */
export function placeCredentials(
  written: object,
  directory: string | undefined,
  refuse: (path: readonly PropertyKey[], fault: string) => void,
): void {
  // An alias of YAML may stand inside of what it names.
  const seen = new Set<object>()
  const visit = (holder: object, above: readonly PropertyKey[]): void => {
    if (seen.has(holder)) return
    seen.add(holder)
    for (const [key, value] of Object.entries(holder) as [string, unknown][]) {
      const path = [...above, Array.isArray(holder) ? Number(key) : key]
      if (typeof value === 'object' && value !== null) visit(value, path)
      if (typeof value !== 'string' || !value.startsWith(prefix)) continue
      const place = placeOf(value.slice(prefix.length), directory)
      if ('fault' in place) refuse(path, place.fault)
      else Object.assign(holder, { [key]: place.file })
    }
  }
  visit(written, [])
}

function placeOf(name: string, directory: string | undefined): { readonly file: string } | { readonly fault: string } {
  if (!lawfulName.test(name)) return { fault: `"${name}" is no name of a credential: a file name without a path` }
  if (directory === undefined || !directory.startsWith('/')) {
    const line = `LoadCredential=${name}:/etc/headwater/credentials/${name}`
    return {
      fault: `no credentials were handed over ($CREDENTIALS_DIRECTORY is not set): write ${line} into the unit, or name a file`,
    }
  }
  return { file: `${directory}/${name}` }
}
