/** The add-on's functions that the writer thread calls. */
/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-call, typescript/no-unsafe-member-access, typescript/no-unsafe-argument, typescript/no-unsafe-return */

/**
 * @typedef {{ syncFileSystem(fd: number): number, syncedWith(fds: Int32Array, flushed: number): number,
 *   preallocate(fd: number, position: number, length: number): number }} FlushAddOn
 */

/**
 * @param {string} file
 * @returns {FlushAddOn | null}
 */
export function loadAddOn(file) {
  const module = { exports: {} }
  try {
    process.dlopen(module, file)
    return /** @type {FlushAddOn} */ (module.exports)
  } catch {
    // The loop's side has loaded it and would have told of a fault.
    return null
  }
}
