/** PLAIN (RFC 4616): one message with a name and a password, which is checked against the user's SCRAM credential. */
import { strictUtf8 } from '../../base/strict-utf8.ts'
import type { SaslServer, SaslStep } from './sasl-server.ts'

/** Longest name and password together. */
const messageBytesMax = 2048
const partCount = 3

export interface PlainMessage {
  readonly userName: string
  readonly password: string
}

/** Reads the message, or says what is wrong with it. */
export function readPlain(bytes: Uint8Array): PlainMessage | string {
  if (bytes.length > messageBytesMax) return 'the message is too long'
  const text = strictUtf8(bytes)
  if (text === null) return 'the message is not UTF-8'
  const parts = text.split('\0', partCount + 1)
  if (parts.length !== partCount) return 'the message does not have three parts'
  const [authorization = '', userName = '', password = ''] = parts
  if (userName === '') return 'the user name is empty'
  if (password === '') return 'the password is empty'
  // Who speaks for somebody else is refused: CVE-2017-12610.
  if (authorization !== '' && authorization !== userName) return 'the authorization identity is not the user name'
  return { userName, password }
}

export class PlainServer implements SaslServer {
  readonly #verify: (userName: string, password: string) => Promise<SaslStep>
  userName: string | null = null
  #isOver = false

  constructor(verify: (userName: string, password: string) => Promise<SaslStep>) {
    this.#verify = verify
  }

  async step(bytes: Uint8Array): Promise<SaslStep> {
    if (this.#isOver) return { kind: 'failed', reason: 'the exchange is over' }
    this.#isOver = true
    const message = readPlain(bytes)
    if (typeof message === 'string') return { kind: 'failed', reason: message }
    this.userName = message.userName
    return this.#verify(message.userName, message.password)
  }
}
