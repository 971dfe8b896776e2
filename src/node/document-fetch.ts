/** One small document over HTTP(S), bounded in size and time. Redirections are answers like any other that is not 200: a failure. */
import https from 'node:https'
import { type DocumentRequest, NetError } from '../base/ports.ts'

// As an import it would bring all of undici along at each start.
const http = process.getBuiltinModule('node:http')

const formType = 'application/x-www-form-urlencoded'

/** Rejects with a NetError, also when `signal` says that the port closes. */
export function fetchDocument(request: DocumentRequest, signal: AbortSignal): Promise<Uint8Array> {
  const { url, timeoutMs, bytesMax, ca, form } = request
  const body = form === undefined ? null : new URLSearchParams(form.fields).toString()
  const attempt = `${body === null ? 'GET' : 'POST'} ${withoutSecrets(url)}`
  return new Promise((resolve, reject) => {
    const options: https.RequestOptions = {
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      method: body === null ? 'GET' : 'POST',
      headers: {
        ...{ accept: 'application/json', 'user-agent': 'headwater' },
        ...(form === undefined ? {} : { authorization: form.authorization }),
        ...(body === null ? {} : { 'content-type': formType, 'content-length': Buffer.byteLength(body) }),
      },
      minVersion: 'TLSv1.2',
      ...(ca === null ? {} : { ca: Buffer.from(ca) }),
    }
    const fail = (error: NodeJS.ErrnoException): void => {
      const isLate =
        error.name === 'TimeoutError' || (error.cause instanceof Error && error.cause.name === 'TimeoutError')
      reject(new NetError(isLate ? 'ETIMEDOUT' : (error.code ?? error.message), attempt))
    }
    const outgoing = (url.startsWith('https:') ? https : http).request(url, options, (answer) => {
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
    outgoing.end(body ?? '')
  })
}

/** A URL may carry a name and a password, or a key in its query. */
function withoutSecrets(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
