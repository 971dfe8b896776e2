/** Files of commands that are replaced as a whole. */
import { constants, type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface WholeFile {
  readonly mode: number
  /** Given to them where this process may do that: only root may. Left out: whoever runs it. */
  readonly owner?: { readonly uid: number; readonly gid: number } | null
}

/** All of the new text or all of the old one, durable, with this mode whatever the umask. Rejects with what the system says. */
export async function writeWholeFile(file: string, text: string, { mode, owner = null }: WholeFile): Promise<void> {
  const temporary = `${file}.new`
  // What a command that was cut off has left is not written through: it may point elsewhere.
  await unlink(temporary).catch(() => {})
  try {
    await withHandle(await open(temporary, 'wx', mode), async (handle) => {
      await handle.chmod(mode)
      await handle.writeFile(text)
      if (owner !== null) await handle.chown(owner.uid, owner.gid).catch(() => {})
      await handle.sync()
    })
    await rename(temporary, file)
  } catch (thrown) {
    await unlink(temporary).catch(() => {})
    throw thrown
  }
  await withHandle(await open(dirname(file), constants.O_RDONLY), (folder) => folder.sync())
}

async function withHandle(handle: FileHandle, use: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await use(handle)
  } finally {
    await handle.close()
  }
}
