/** A Kerberos realm of its own on the loopback: the KDC of Debian's krb5-kdc, with principals whose keys are in files. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { output, until } from './case.ts'
import { freePort } from './headwater.ts'

export const realm = 'EDGE.TEST'

export class Kdc {
  /** KRB5_CONFIG and what else programs of Kerberos need to find the realm. */
  readonly environment: NodeJS.ProcessEnv
  readonly configFile: string
  readonly #folder: string
  readonly #process: ChildProcess

  static async start(folder: string): Promise<Kdc> {
    mkdirSync(folder, { recursive: true })
    const port = await freePort()
    const configFile = join(folder, 'krb5.conf')
    writeFileSync(
      configFile,
      `[libdefaults]
 default_realm = ${realm}
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 ${realm} = {
  kdc = 127.0.0.1:${port}
 }
[domain_realm]
 localhost = ${realm}
`,
    )
    const profile = join(folder, 'kdc.conf')
    writeFileSync(
      profile,
      `[kdcdefaults]
 kdc_listen = 127.0.0.1:${port}
 kdc_tcp_listen = 127.0.0.1:${port}
[realms]
 ${realm} = {
  database_name = ${folder}/principal
  key_stash_file = ${folder}/stash
  acl_file = ${folder}/kadm5.acl
  max_life = 1h
 }
`,
    )
    const environment = { ...process.env, KRB5_CONFIG: configFile, KRB5_KDC_PROFILE: profile, KRB5RCACHENAME: 'none:' }
    await output('kdb5_util', ['create', '-s', '-r', realm, '-P', 'master'], { env: environment })
    const child = spawn('krb5kdc', ['-n', '-r', realm, '-P', join(folder, 'kdc.pid')], {
      env: environment,
      stdio: 'ignore',
    })
    const kdc = new Kdc(folder, configFile, environment, child)
    try {
      await kdc.#answers()
      return kdc
    } catch (thrown) {
      await kdc.stop()
      throw thrown
    }
  }

  async #answers(): Promise<void> {
    await this.add('probe')
    const isUp = (): Promise<boolean> =>
      this.tickets('probe').then(
        () => true,
        () => false,
      )
    await until(isUp, 20_000, 'the KDC')
  }

  private constructor(folder: string, configFile: string, environment: NodeJS.ProcessEnv, child: ChildProcess) {
    this.#folder = folder
    this.configFile = configFile
    this.environment = environment
    this.#process = child
  }

  keytab(name: string): string {
    return join(this.#folder, `${name.replace('/', '_')}.keytab`)
  }

  /** A principal with a key of its own, in a file. */
  async add(name: string): Promise<void> {
    const ask = (query: string): Promise<string> =>
      output('kadmin.local', ['-r', realm, '-q', query], { env: this.environment })
    await ask(`addprinc -randkey ${name}@${realm}`)
    await ask(`ktadd -k ${this.keytab(name)} ${name}@${realm}`)
  }

  /** A file of tickets for a principal. */
  async tickets(name: string): Promise<string> {
    const cache = join(this.#folder, `${name}.cache`)
    const words = ['-k', '-t', this.keytab(name), '-c', `FILE:${cache}`, `${name}@${realm}`]
    await output('kinit', words, { env: this.environment })
    return `FILE:${cache}`
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await ended
  }
}
