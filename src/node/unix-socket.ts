/** The file of a Unix socket: made with its permissions, and taken over from a listener that is gone. */
import fs from 'node:fs'
import net from 'node:net'
import { NetError, type UnixPlace } from '../base/ports.ts'

/** Longest path that the kernel takes (sun_path, with its end). */
const pathBytesMax = 107

/** Rejects with a NetError when the path cannot be listened on; afterwards nothing stands there that nobody listens behind. */
export async function clearUnixPath({ path }: UnixPlace, attempt: string): Promise<void> {
  if (Buffer.byteLength(path) > pathBytesMax) throw new NetError('ENAMETOOLONG', attempt)
  const stat = fs.lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return
  if (!stat.isSocket()) throw new NetError('EEXIST', `${attempt}: a file that is no socket is there`)
  if (await isAnswered(path)) throw new NetError('EADDRINUSE', attempt)
  fs.unlinkSync(path)
}

/** Does somebody listen? Only a plain no counts as one. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path)
    const answer = (isTaken: boolean): void => {
      socket.destroy()
      resolve(isTaken)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      answer(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}

export function setUnixMode({ path, mode }: UnixPlace): void {
  fs.chmodSync(path, mode)
}
