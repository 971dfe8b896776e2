/** How long to wait before the next attempt. */
import type { Entropy } from '../base/ports.ts'

/**
 * Doubles from `firstMs` to `maxMs` with the attempt (1 ...); the second half of it is drawn, so that a thousand sites whose central
 * cluster comes back do not knock at the same moment.
 */
export function backOffMs(
  attempt: number,
  bounds: { readonly firstMs: number; readonly maxMs: number },
  entropy: Entropy,
): number {
  const full = Math.min(bounds.maxMs, bounds.firstMs * 2 ** Math.min(attempt - 1, 30))
  return full / 2 + (full / 2) * (entropy.uint32() / 2 ** 32)
}
