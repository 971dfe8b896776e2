/** The command `cert` and its flags: a private authority for boxes that have none. */
import type { Command } from 'commander'
import { ApplianceError } from '../../base/errors.ts'
import type { PrivateCa } from '../certificates/private-ca.ts'
import type { RevocationReason } from '../certificates/certificate-maker.ts'
import { cliErrors } from './cli-errors.ts'
import { type CommandContext, collect, jsonOption, positiveNumber } from './command-flags.ts'

interface FolderFlags {
  readonly dir: string
  readonly json?: true
}

/** A century: what ends later is a slip of the finger. */
const daysMax = 36_525
const reasons: readonly RevocationReason[] = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
]

export function addCertCommands({ program }: CommandContext): void {
  const cert = program.command('cert').description('certificates of a private authority, for boxes that have none')
  addMaking(cert)
  withFolder(cert.command('revoke').description('revoke the certificates of a name, or one by its serial number'))
    .argument('<name>', 'name or serial number')
    .option('--reason <name>', reasons.join(', '), 'unspecified')
    .option('--crl-days <n>', 'how long the new revocation list is good for', days, 365)
    .action(async (name: string, flags: FolderFlags & { reason: string; crlDays: number }) => {
      const reason = reasons.find((each) => each === flags.reason)
      if (reason === undefined) {
        const detail = `${flags.reason} is not ${reasons.join(', ')}`
        throw new ApplianceError(cliErrors.valueInvalid, { name: '--reason', detail })
      }
      const revoked = await (await caOf(flags)).revoke(name, reason, flags.crlDays)
      const { printRevoked } = await import('./cert-command.ts')
      printRevoked(flags.dir, revoked, flags.json ?? false)
    })
  withFolder(cert.command('crl').description('write the revocation list anew, before the one in use is too old'))
    .option('--crl-days <n>', 'how long it is good for', days, 365)
    .action(async (flags: FolderFlags & { crlDays: number }) => {
      await (await caOf(flags)).writeList(flags.crlDays)
      const { printRevoked } = await import('./cert-command.ts')
      printRevoked(flags.dir, 0, flags.json ?? false)
    })
  withFolder(cert.command('list').description('what the authority has signed')).action(async (flags: FolderFlags) => {
    const { printCertificates } = await import('./cert-command.ts')
    printCertificates(await (await caOf(flags)).list(), flags.json ?? false)
  })
}

function addMaking(cert: Command): void {
  withFolder(
    cert.command('init').description('make the authority: its certificate, its key and an empty revocation list'),
  )
    .option('--name <text>', 'common name of the authority', 'Headwater private CA')
    .option('--days <n>', 'how long it is good for', days, 3650)
    .option('--crl-days <n>', 'how long its first revocation list is good for', days, 365)
    .action(async (flags: FolderFlags & { name: string; days: number; crlDays: number }) => {
      await (await caOf(flags)).init(flags.name, flags)
      const { printAuthority } = await import('./cert-command.ts')
      printAuthority(flags.dir, flags.json ?? false)
    })
  withFolder(cert.command('issue').description('make a key and a certificate for it'))
    .argument('<name>', 'common name, and name of the files')
    .requiredOption('--profile <name>', 'server or client')
    .option('--san <DNS:NAME|IP:ADDRESS>', 'a name it is for; may be given many times', collect, [])
    .option('--days <n>', 'how long it is good for', days, 397)
    .action(async (name: string, flags: FolderFlags & { profile: string; san: string[]; days: number }) => {
      const { profile, san: alternatives } = flags
      if (profile !== 'server' && profile !== 'client') {
        throw new ApplianceError(cliErrors.valueInvalid, {
          name: '--profile',
          detail: `${profile} is not server or client`,
        })
      }
      const made = await (await caOf(flags)).issue({ name, profile, alternatives, days: flags.days })
      const { printIssued } = await import('./cert-command.ts')
      printIssued(flags.dir, made, flags.json ?? false)
    })
  withFolder(
    cert.command('renew').description('a new key and certificate with the same names; the one before stays good'),
  )
    .argument('<name>')
    .option('--days <n>', 'how long it is good for', days, 397)
    .action(async (name: string, flags: FolderFlags & { days: number }) => {
      const made = await (await caOf(flags)).renew(name, flags.days)
      const { printIssued } = await import('./cert-command.ts')
      printIssued(flags.dir, made, flags.json ?? false)
    })
}

function withFolder(command: Command): Command {
  return command.option('--dir <path>', 'folder of the authority', './ca').option(...jsonOption)
}

function days(text: string): number {
  const value = positiveNumber(text)
  if (value <= daysMax) return value
  throw new ApplianceError(cliErrors.valueInvalid, { name: 'days', detail: `${text} is above ${daysMax}` })
}

async function caOf({ dir }: FolderFlags): Promise<PrivateCa> {
  const [{ PrivateCa: Ca }, { CaFolder }] = await Promise.all([
    import('../certificates/private-ca.ts'),
    import('../certificates/ca-folder.ts'),
  ])
  return new Ca(new CaFolder(dir), () => Date.now())
}
