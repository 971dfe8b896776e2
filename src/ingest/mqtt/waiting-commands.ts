import { filterMatches } from '../../protocol/mqtt/topic-filter.ts'
import type { CommandTrack, WaitingCommand } from './command-track.ts'
import type { CommandMark } from './outgoing-message.ts'

/** Everything that waits, found by its topic too. Bound: see `waitingMax`, partition by partition. */
export class WaitingCommands {
  private readonly byTopic = new Map<string, Set<WaitingCommand>>()

  add(track: CommandTrack, { offset, topic, expiresMs }: CommandMark): void {
    if (track.waiting.has(offset)) return
    const command: WaitingCommand = { track, offset, topic, expiresMs, holder: null }
    track.waiting.set(offset, command)
    const known = this.byTopic.get(topic)
    if (known === undefined) this.byTopic.set(topic, new Set([command]))
    else known.add(command)
  }

  delete(command: WaitingCommand): void {
    const { track, offset, topic } = command
    if (!track.waiting.delete(offset)) return
    const known = this.byTopic.get(topic)
    known?.delete(command)
    if (known?.size === 0) this.byTopic.delete(topic)
  }

  /** Its partition is gone. */
  drop(track: CommandTrack): void {
    for (const command of [...track.waiting.values()]) this.delete(command)
  }

  /** What matches a filter, each partition in its order. */
  matching(filter: string): readonly WaitingCommand[] {
    if (!/[+#]/.test(filter)) return ordered([...(this.byTopic.get(filter) ?? [])])
    const found: WaitingCommand[] = []
    for (const [topic, commands] of this.byTopic) if (filterMatches(filter, topic)) found.push(...commands)
    return ordered(found)
  }
}

function ordered(commands: WaitingCommand[]): readonly WaitingCommand[] {
  return commands.toSorted((one, two) => one.offset - two.offset)
}
