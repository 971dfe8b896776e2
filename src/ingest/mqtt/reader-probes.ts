import { sharedFilterOf } from '../../protocol/mqtt/topic-filter.ts'
import type { Reader } from './catch-up.ts'
import type { Stretch } from './log-summaries.ts'
import type { MqttSession } from './session.ts'
import { SharedGroup } from './shared-group.ts'
import { type FilterProbe, probeOf } from './topic-summary.ts'

/** Questions to a summary in a row; with more filters the log is read. */
const probesMax = 4096

/** Made once for each subscription. */
const known = new WeakMap<object, FilterProbe>()

/** May the stretch hold something for one of them? */
export function isWanted(stretch: Stretch, readers: readonly Reader[]): boolean {
  let asked = 0
  for (const reader of readers) {
    for (const probe of probesOf(reader)) {
      asked += 1
      if (asked > probesMax || stretch.topics.mayMatch(probe)) return true
    }
  }
  return false
}

/** What to ask a summary for a reader: its own subscriptions one after the other, or that of a group. */
function* probesOf(reader: Reader): Iterable<FilterProbe> {
  if (reader instanceof SharedGroup) yield cached(reader)
  else
    for (const each of (reader as MqttSession).subscriptions.values())
      if (sharedFilterOf(each.filter) === null) yield cached(each)
}

function cached(subscriber: { readonly filter: string }): FilterProbe {
  let probe = known.get(subscriber)
  if (probe === undefined) {
    probe = probeOf(subscriber.filter)
    known.set(subscriber, probe)
  }
  return probe
}
