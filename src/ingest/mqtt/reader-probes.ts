import type { Reader } from './catch-up.ts'
import type { MqttSession } from './session.ts'
import { SharedGroup } from './shared-group.ts'
import { type FilterProbe, probeOf } from './topic-summary.ts'

/** Made once for each subscription. */
const known = new WeakMap<object, FilterProbe>()

/** What to ask a summary for a reader: its own subscriptions one after the other, or that of a group. */
export function* probesOf(reader: Reader): Iterable<FilterProbe> {
  if (reader instanceof SharedGroup) yield cached(reader)
  else for (const each of (reader as MqttSession).subscriptions.values()) if (!isShared(each.filter)) yield cached(each)
}

function isShared(filter: string): boolean {
  return filter.startsWith('$share/')
}

function cached(subscriber: { readonly filter: string }): FilterProbe {
  let probe = known.get(subscriber)
  if (probe === undefined) {
    probe = probeOf(subscriber.filter)
    known.set(subscriber, probe)
  }
  return probe
}
