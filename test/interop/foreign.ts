/** Which foreign programs this machine has. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const debianPackage: Readonly<Record<string, string>> = {
  kcat: 'kcat',
  mosquitto: 'mosquitto',
  mosquitto_pub: 'mosquitto-clients',
  mosquitto_sub: 'mosquitto-clients',
  promtool: 'prometheus',
  'systemd-analyze': 'systemd',
  gcc: 'gcc',
  krb5kdc: 'krb5-kdc',
  'kadmin.local': 'krb5-admin-server',
  kinit: 'krb5-user',
}

/** Null when all are there; else the line that says what to install. */
export function hasPrograms(...names: readonly string[]): string | null {
  const absent = names.filter((name) => !onPath(name))
  if (absent.length === 0) return null
  const packages = [...new Set(absent.map((name) => debianPackage[name] ?? name))]
  return `skipped: no ${absent.join(', ')} on the PATH (Debian: apt-get install ${packages.join(' ')})`
}

function onPath(name: string): boolean {
  return `${process.env['PATH'] ?? ''}:/usr/sbin`.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
