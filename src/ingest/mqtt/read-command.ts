import { utf8Bytes } from '../../protocol/mqtt/utf8.ts'
import type { CommandMark, OutgoingMessage } from './outgoing-message.ts'

/** A command as it was read: most are nobody's of those who are asked. Its message is made when somebody takes it, in the turn in which it was read. */
export class ReadCommand {
  readonly mark: CommandMark
  /** MQTT topic. */
  readonly topic: Uint8Array
  private readonly make: () => OutgoingMessage
  private made: OutgoingMessage | null = null

  constructor(mark: CommandMark, make: () => OutgoingMessage) {
    this.mark = mark
    this.topic = utf8Bytes(mark.topic)
    this.make = make
  }

  get message(): OutgoingMessage {
    this.made ??= this.make()
    return this.made
  }
}
