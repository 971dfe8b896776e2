/** One small document over HTTP(S), bounded in size and time. Redirections are answers like any other that is not 200: a failure. */
import http from 'node:http'
import https from 'node:https'
import { type DocumentRequest, NetError } from '../base/ports.ts'

/** Rejects with a NetError, also when `signal` says that the port closes. */
export function fetchDocument(request: DocumentRequest, signal: AbortSignal): Promise<Uint8Array> {
  const { url, timeoutMs, bytesMax, ca } = request
  const attempt = `GET ${withoutSecrets(url)}`
  return new Promise((resolve, reject) => {
    const options: https.RequestOptions = {
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      headers: { accept: 'application/json', 'user-agent': 'headwater' },
      minVersion: 'TLSv1.2',
      ...(ca === null ? {} : { ca: Buffer.from(ca) }),
    }
    const fail = (error: NodeJS.ErrnoException): void => {
      const isLate =
        error.name === 'TimeoutError' || (error.cause instanceof Error && error.cause.name === 'TimeoutError')
      reject(new NetError(isLate ? 'ETIMEDOUT' : (error.code ?? error.message), attempt))
    }
    const outgoing = (url.startsWith('https:') ? https : http).get(url, options, (answer) => {
      const refuse = (code: string): void => {
        reject(new NetError(code, attempt))
        answer.destroy()
      }
      if (answer.statusCode !== 200) return refuse(`HTTP status ${answer.statusCode}`)
      const parts: Buffer[] = []
      let length = 0
      answer.on('data', (bytes: Buffer) => {
        length += bytes.length
        if (length > bytesMax) return refuse(`more than ${bytesMax} bytes`)
        parts.push(bytes)
      })
      answer.on('error', fail)
      answer.on('end', () => resolve(Buffer.concat(parts)))
      answer.on('close', () => reject(new NetError('ECONNRESET', attempt)))
    })
    outgoing.on('error', fail)
  })
}

/** A URL may carry a name and a password, or a key in its query. */
function withoutSecrets(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
