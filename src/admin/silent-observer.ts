/** An observer that hears nothing: for the commands that are clients and have no log of their own. */
import type { Observer } from '../base/ports.ts'

export const silentObserver: Observer = {
  event() {},
  add() {},
  set() {},
  observe() {},
  remove() {},
}
