/** Turns what a core notes into events and figures. */
import type { Observer } from '../../base/ports.ts'
import { groupEvents } from './group-events.ts'
import { groupMetrics } from './group-metrics.ts'
import type { GroupNote } from './group-notes.ts'

/** Reports one note. */
export function observeNote(observer: Observer, note: GroupNote): void {
  switch (note.kind) {
    case 'preparing':
      return observer.event(groupEvents.rebalancing, {
        group: note.groupId,
        generation: note.generationId,
        reason: note.reason,
      })
    case 'stable':
      observer.add(groupMetrics.rebalances, 1)
      return observer.event(groupEvents.stable, {
        group: note.groupId,
        generation: note.generationId,
        members: note.members,
      })
    case 'empty':
      return observer.event(groupEvents.empty, { group: note.groupId, generation: note.generationId })
    case 'removed':
      observer.add(groupMetrics.membersRemoved, 1)
      return observer.event(groupEvents.memberRemoved, {
        group: note.groupId,
        member: note.memberId,
        reason: note.reason,
      })
    case 'staticReplaced':
      return observer.event(groupEvents.staticMemberReplaced, { group: note.groupId, member: note.memberId })
    case 'committed':
      return observer.add(groupMetrics.commits, note.offsets)
    case 'expired':
      observer.add(groupMetrics.expirations, note.offsets)
      return observer.event(groupEvents.offsetsExpired, { group: note.groupId, offsets: note.offsets })
    case 'deleted':
      return observer.event(groupEvents.deleted, { group: note.groupId })
  }
}
