/** Where a password comes from: a file, standard input, or a prompt. Never the command line, which other users of the machine can read. */
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { ApplianceError } from '../../base/errors.ts'
import { cliErrors } from './cli-errors.ts'
import { unreadableFile } from './file-fault.ts'

const passwordBytesMax = 1024

/** The first line of standard input. */
export async function firstLineOfInput(): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += String(chunk)
    if (text.includes('\n') || text.length > passwordBytesMax) break
  }
  process.stdin.destroy()
  return firstLine(text)
}

/** A password for `what`: of the file (`-` = standard input), or asked for on a terminal. Throws CLI_PASSWORD_NEEDED without either. */
export async function readPassword(file: string | null, what: string): Promise<string> {
  if (file === '-') return firstLineOfInput()
  if (file !== null) {
    const bytes = await readFile(file).catch((thrown: unknown) => {
      throw unreadableFile(file, thrown)
    })
    return firstLine(bytes.subarray(0, passwordBytesMax).toString('utf8'))
  }
  if (!process.stdin.isTTY) throw new ApplianceError(cliErrors.passwordNeeded, { what })
  return askHidden(`Password of ${what}: `)
}

/** The same, chosen anew: on a terminal it is asked for twice. */
export async function choosePassword(file: string | null, what: string): Promise<string> {
  const password = await readPassword(file, what)
  if (file !== null) return password
  if ((await askHidden('The same again: ')) === password) return password
  throw new ApplianceError(cliErrors.valueInvalid, { name: 'the password', detail: 'the two are not the same' })
}

/** One line from the terminal, which does not show it. */
function askHidden(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true })
  process.stderr.write(question)
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => {
      lines.close()
      process.stderr.write('\n')
      reject(new ApplianceError(cliErrors.passwordNeeded, { what: 'the user' }))
    })
    lines.question('', (answer) => {
      lines.close()
      process.stderr.write('\n')
      resolve(answer)
    })
  })
}

function firstLine(text: string): string {
  return /^[^\r\n]*/.exec(text)?.[0] ?? ''
}
