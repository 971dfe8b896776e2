/** An observer that remembers: events by id, figures by name. */
import { SimObserver } from '../sim/sim-observer.ts'

export function testObserver(): SimObserver {
  return new SimObserver(
    () => 0,
    () => {},
  )
}
