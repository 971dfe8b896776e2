/** Whose a data directory is. */
import fs from 'node:fs'

/**
 * Root becomes the user that the directory belongs to, for good: files that a command of the administrator's leaves there would be
 * root's, and the daemon of that user could not write to them. Throws EPERM where root may not.
 */
export function becomeOwnerOf(dataDir: string): void {
  if (process.geteuid?.() !== 0) return
  const facts = fs.statSync(`${dataDir}/log`, { throwIfNoEntry: false })
  if (facts === undefined || facts.uid === 0) return
  process.setgroups?.([facts.gid])
  process.setgid?.(facts.gid)
  process.setuid?.(facts.uid)
}
