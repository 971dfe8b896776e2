/** What `headwater cert` prints: where things are, and what to do with them. */
import { CaFolder } from '../certificates/ca-folder.ts'
import type { ListedCertificate } from '../certificates/private-ca.ts'
import { formatFacts, formatTable, printResult } from './output.ts'

export function printAuthority(dir: string, json: boolean): void {
  const folder = new CaFolder(dir)
  const files = { certificate: folder.file('ca.pem'), key: folder.file('ca.key'), crl: folder.file('ca.crl.pem') }
  printResult(files, json, () =>
    formatFacts([
      ['certificate', `${files.certificate}  (clients trust it; clientCa of a listener)`],
      ['key', `${files.key}  (keep it off the box where that can be)`],
      ['revocation list', `${files.crl}  (clientCrl of a listener)`],
    ]),
  )
}

export function printIssued(dir: string, made: ListedCertificate, json: boolean): void {
  const files = new CaFolder(dir).issued(made.name)
  printResult({ ...made, ...files }, json, () =>
    formatFacts([
      ['certificate', files.certificate],
      ['key', files.key],
      ['serial', made.serial],
      ['good until', made.notAfter],
    ]),
  )
}

export function printRevoked(dir: string, revoked: number, json: boolean): void {
  const crl = new CaFolder(dir).file('ca.crl.pem')
  printResult({ revoked, crl }, json, () =>
    formatFacts([
      ['revoked', revoked],
      ['revocation list', `${crl}  (copy it to where clientCrl points; a listener takes it within seconds)`],
    ]),
  )
}

export function printCertificates(certificates: readonly ListedCertificate[], json: boolean): void {
  printResult(certificates, json, () =>
    certificates.length === 0
      ? 'no certificates'
      : formatTable(
          ['NAME', 'PROFILE', 'SERIAL', 'NOT AFTER', 'STATE'],
          certificates.map(({ name, profile, serial, notAfter, state, isNewest }) => [
            name,
            profile,
            serial,
            notAfter,
            state === 'good' && !isNewest ? 'good (renewed)' : state,
          ]),
        ),
  )
}
