/** Through what the file system of the data is flushed. */
import fs from 'node:fs'

/**
 * An open folder of the first file that is opened, from before anything is written to it. Since Linux 5.8 a flush through it tells of every
 * write error of its file system since then, whoever's file it was: one that tells of none makes the question to each file needless.
 */
export class Guard {
  /** 0 = there is none. */
  descriptor = 0
  #device = 0
  #isTried = false

  /**
   * Is the file on its file system?
   * @param {number} fd that nothing has been written through yet
   * @param {string} path
   */
  holds(fd, path) {
    // Never later: what was written before it is opened it would not tell of.
    if (!this.#isTried) this.#open(path.slice(0, path.lastIndexOf('/')))
    return this.descriptor > 0 && fs.fstatSync(fd).dev === this.#device
  }

  /** @param {string} folder */
  #open(folder) {
    this.#isTried = true
    try {
      this.descriptor = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
      this.#device = fs.fstatSync(this.descriptor).dev
    } catch {
      // Without one each file is asked.
    }
  }

  close() {
    if (this.descriptor > 0) fs.closeSync(this.descriptor)
    this.descriptor = 0
  }
}
