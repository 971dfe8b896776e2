import { reasonName } from '../../protocol/mqtt/reason-codes.ts'
import { utf8Text } from '../../protocol/mqtt/utf8.ts'
import type { DoorServices } from './door-services.ts'
import { mqttEvents } from './mqtt-events.ts'

/** A message that was stored, or is to be, is not retained: the log tells it, within its budget. */
export function tellNotRetained(
  { eventBudget, observer }: Pick<DoorServices, 'eventBudget' | 'observer'>,
  clientId: string,
  topic: Uint8Array,
  verdict: number,
): void {
  if (!eventBudget.take()) return
  const reason = reasonName(verdict)
  observer.event(mqttEvents.notRetained, { clientId, topic: utf8Text(topic, 0, topic.length), reason })
}
