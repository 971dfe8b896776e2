/** Certificates for tests, made by openssl: an authority, and leaves that it signs. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0
if (!hasOpenssl) console.log('skipped: no openssl to make certificates with (Debian: apt-get install openssl)')

export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
}

export class CertificateFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'headwater-tls-'))

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }

  file(name: string): string {
    return join(this.path, name)
  }

  /** A self-signed authority. */
  authority(name: string): CertificateFiles {
    const files = this.#names(name)
    openssl(['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '400'], {
      subject: `/CN=${name}`,
      files,
    })
    return files
  }

  /** A certificate for these host names, or for 127.0.0.1 and localhost, signed by `by`. */
  leaf(
    name: string,
    by: CertificateFiles,
    options: { readonly subject?: string; readonly days?: number; readonly hosts?: readonly string[] } = {},
  ) {
    const { subject = `/CN=${name}`, days = 400, hosts = ['localhost'] } = options
    const files = this.#names(name)
    const request = this.file(`${name}.csr`)
    openssl(['req', '-utf8', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'], {
      subject,
      files: { certificate: request, key: files.key },
    })
    const extensions = this.file(`${name}.ext`)
    writeFileSync(extensions, `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(',')},IP:127.0.0.1\n`)
    run('openssl', [
      ...['x509', '-req', '-in', request, '-CA', by.certificate, '-CAkey', by.key, '-CAcreateserial'],
      ...['-days', String(days), '-extfile', extensions, '-out', files.certificate],
    ])
    return files
  }

  #names(name: string): CertificateFiles {
    return { certificate: this.file(`${name}.pem`), key: this.file(`${name}.key`) }
  }
}

function openssl(words: readonly string[], how: { readonly subject: string; readonly files: CertificateFiles }): void {
  run('openssl', [...words, '-subj', how.subject, '-keyout', how.files.key, '-out', how.files.certificate])
}

function run(command: string, words: readonly string[]): void {
  const outcome = spawnSync(command, words, { encoding: 'utf8' })
  if (outcome.status !== 0) throw new Error(`${command} ${words.join(' ')}: ${outcome.stderr}`)
}

/** The DER bytes of a PEM certificate. */
export function derOf(path: string): Buffer {
  const body = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(readFileSync(path, 'utf8'))?.[1] ?? ''
  return Buffer.from(body, 'base64')
}
