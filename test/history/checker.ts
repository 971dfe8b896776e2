/**
 * The history checker: what clients asked for and were told, one event a line, against what the log holds in the end (safety.md 5).
 * Linear and without a search, because every value is unique and every promise names its offset.
 *
 * What it finds: an offset with two values, a value at two offsets (I1), an acknowledged or a seen record that is not there (I3, I4),
 * a value stored twice or although it was refused for certain (I7), acknowledgements, reads and values of one client out of order
 * (I9), offsets that are missing.
 */

/** `ok`: acknowledged; `fail`: refused for certain; `info`: nobody knows. */
export type SendResult = 'ok' | 'fail' | 'info'
/** How often a value may be stored. */
export type Delivery = 'exactly-once' | 'at-least-once'

export type HistoryEvent =
  /** A client's write: `offset` is what an acknowledgement names, -1 where it names none (MQTT). */
  | {
      readonly op: 'send'
      readonly proc: string
      readonly place: string
      readonly value: string
      readonly result: SendResult
      readonly offset: number
      readonly delivery: Delivery
    }
  /** A client was shown this record. */
  | {
      readonly op: 'read'
      readonly proc: string
      readonly place: string
      readonly offset: number
      readonly value: string
    }
  /** Records below it were deleted on purpose. */
  | { readonly op: 'start'; readonly place: string; readonly offset: number }
  /** What the log holds in the end, in the order of its offsets. */
  | { readonly op: 'final'; readonly place: string; readonly offset: number; readonly value: string }

/** The kinds of broken promises. */
export type Fault =
  | 'two-values'
  | 'two-offsets'
  | 'lost'
  | 'unseen'
  | 'duplicate'
  | 'refused-and-stored'
  | 'never-sent'
  | 'disorder'
  | 'gap'

export interface Verdict {
  readonly events: number
  readonly acknowledged: number
  readonly found: number
  readonly faults: readonly { readonly fault: Fault; readonly sentence: string }[]
  /** All of them; the list above ends at some thousand. */
  readonly faultCount: number
}

interface Sent {
  readonly value: string
  readonly proc: Proc
  readonly place: Place
  readonly isOnce: boolean
  result: SendResult
  /** By the acknowledgement; -1 = not told. */
  toldOffset: number
  /** In the final log; -1 = not there. */
  finalOffset: number
  /** Order among the sends of its client to its place. */
  readonly order: number
}

/** A client at one place. */
interface Proc {
  sends: number
  acknowledgedOffset: number
  readOffset: number
  finalOrder: number
}

interface Place {
  readonly name: string
  readonly procs: Map<string, Proc>
  /** By offset: what somebody was told stands there. */
  readonly told: (string | undefined)[]
  readonly final: (string | undefined)[]
  firstFinal: number
  lastFinal: number
  start: number
}

const faultsMax = 1000

export class HistoryChecker {
  readonly #places = new Map<string, Place>()
  readonly #sent = new Map<string, Sent>()
  readonly #faults: { readonly fault: Fault; readonly sentence: string }[] = []
  #faultCount = 0
  #events = 0
  #acknowledged = 0
  #found = 0
  #lastPlace: Place | null = null

  /** Takes in the next event. The order is that in which things were answered; `final` comes last. */
  add(event: HistoryEvent): void {
    this.#events++
    const place = this.#place(event.place)
    switch (event.op) {
      case 'send':
        return this.#send(event, place)
      case 'read':
        return this.#read(event, place)
      case 'start':
        place.start = Math.max(place.start, event.offset)
        return
      case 'final':
        return this.#final(event, place)
    }
  }

  verdict(): Verdict {
    for (const sent of this.#sent.values()) this.#judge(sent)
    for (const place of this.#places.values()) this.#judgeSeen(place)
    return {
      events: this.#events,
      acknowledged: this.#acknowledged,
      found: this.#found,
      faults: this.#faults,
      faultCount: this.#faultCount,
    }
  }

  #send(event: HistoryEvent & { op: 'send' }, place: Place): void {
    const proc = this.#proc(place, event.proc)
    const { value, result, offset } = event
    const sent: Sent = {
      value,
      proc,
      place,
      isOnce: event.delivery === 'exactly-once',
      result,
      toldOffset: -1,
      finalOffset: -1,
      order: proc.sends++,
    }
    const earlier = this.#sent.get(value)
    if (earlier === undefined) this.#sent.set(value, sent)
    else if (earlier.result === 'ok' && offset >= 0 && earlier.toldOffset >= 0 && earlier.toldOffset !== offset) {
      this.#fault('two-offsets', () => `${value} is acknowledged at ${earlier.toldOffset} and at ${offset}`)
    }
    if (result !== 'ok') return
    this.#acknowledged++
    const kept = earlier ?? sent
    kept.result = 'ok'
    if (offset < 0) return
    kept.toldOffset = offset
    if (sent.isOnce && offset <= proc.acknowledgedOffset) {
      this.#fault('disorder', () => `${value} is acknowledged at ${offset}, behind ${proc.acknowledgedOffset}`)
    }
    proc.acknowledgedOffset = offset
    this.#tell(place, offset, value)
  }

  #read(event: HistoryEvent & { op: 'read' }, place: Place): void {
    const proc = this.#proc(place, event.proc)
    const { offset, value } = event
    if (offset <= proc.readOffset) {
      this.#fault('disorder', () => `${event.proc} reads ${offset} of ${place.name} behind ${proc.readOffset}`)
    }
    proc.readOffset = offset
    this.#tell(place, offset, value)
  }

  #final(event: HistoryEvent & { op: 'final' }, place: Place): void {
    const { offset, value } = event
    this.#found++
    if (place.final[offset] !== undefined || offset <= place.lastFinal) {
      this.#fault('disorder', () => `${place.name} shows offset ${offset} behind ${place.lastFinal}`)
    } else if (place.lastFinal >= 0 && offset !== place.lastFinal + 1) {
      this.#fault('gap', () => `${place.name} has nothing between ${place.lastFinal} and ${offset}`)
    }
    if (place.firstFinal < 0) place.firstFinal = offset
    place.lastFinal = offset
    put(place.final, offset, value)
    const sent = this.#sent.get(value)
    if (sent === undefined) {
      this.#fault('never-sent', () => `${value} at ${place.name}@${offset} was never sent`)
      return
    }
    if (sent.finalOffset >= 0) {
      if (sent.isOnce) this.#fault('duplicate', () => `${value} stands at ${sent.finalOffset} and at ${offset}`)
      return
    }
    sent.finalOffset = offset
    if (sent.place !== place)
      this.#fault('never-sent', () => `${value} stands at ${place.name}, sent to ${sent.place.name}`)
    if (!sent.isOnce) return
    if (sent.order < sent.proc.finalOrder) {
      this.#fault('disorder', () => `${value} at ${place.name}@${offset} was sent before what stands before it`)
    }
    sent.proc.finalOrder = sent.order
  }

  #judge(sent: Sent): void {
    const { value, place, toldOffset, finalOffset } = sent
    if (finalOffset >= 0) {
      if (sent.result === 'fail')
        this.#fault('refused-and-stored', () => `${value} was refused and stands at ${finalOffset}`)
      if (sent.isOnce && toldOffset >= 0 && toldOffset !== finalOffset) {
        this.#fault('two-offsets', () => `${value} is acknowledged at ${toldOffset} and stands at ${finalOffset}`)
      }
      return
    }
    if (sent.result !== 'ok') return
    if (toldOffset >= 0 ? toldOffset < place.start : place.start > 0) return
    this.#fault('lost', () => `${value} was acknowledged at ${place.name}@${toldOffset} and is not there`)
  }

  /** What somebody was shown stays. */
  #judgeSeen(place: Place): void {
    if (place.start > 0 && place.firstFinal >= 0 && place.firstFinal > place.start) {
      this.#fault('gap', () => `${place.name} begins at ${place.firstFinal}, deleted below ${place.start}`)
    }
    if (place.start === 0 && place.firstFinal > 0) {
      this.#fault('gap', () => `${place.name} begins at ${place.firstFinal}, nothing was deleted`)
    }
    for (let offset = place.start; offset < place.told.length; offset++) {
      const value = place.told[offset]
      if (value === undefined || place.final[offset] === value) continue
      const stands = place.final[offset]
      if (stands === undefined)
        this.#fault('unseen', () => `${value} was told of at ${place.name}@${offset} and is not there`)
      else this.#fault('two-values', () => `${place.name}@${offset} held ${value}, in the end ${stands}`)
    }
  }

  #tell(place: Place, offset: number, value: string): void {
    const told = place.told[offset]
    if (told === undefined) put(place.told, offset, value)
    else if (told !== value) this.#fault('two-values', () => `${place.name}@${offset} is ${told} and ${value}`)
  }

  #place(name: string): Place {
    if (this.#lastPlace?.name === name) return this.#lastPlace
    let place = this.#places.get(name)
    if (place === undefined) {
      place = { name, procs: new Map(), told: [], final: [], firstFinal: -1, lastFinal: -1, start: 0 }
      this.#places.set(name, place)
    }
    this.#lastPlace = place
    return place
  }

  #proc(place: Place, name: string): Proc {
    let proc = place.procs.get(name)
    if (proc === undefined) {
      proc = { sends: 0, acknowledgedOffset: -1, readOffset: -1, finalOrder: -1 }
      place.procs.set(name, proc)
    }
    return proc
  }

  #fault(fault: Fault, sentence: () => string): void {
    this.#faultCount++
    if (this.#faults.length < faultsMax) this.#faults.push({ fault, sentence: sentence() })
  }
}

/** Keeps an array dense, so that it stays one. */
function put(values: (string | undefined)[], offset: number, value: string): void {
  while (values.length < offset) values.push(undefined)
  values[offset] = value
}

/** One event of a line of JSON. Throws when it is none. */
export function parseEvent(line: string): HistoryEvent {
  const event = JSON.parse(line) as Partial<HistoryEvent>
  if (typeof event.place !== 'string' || typeof event.offset !== 'number') throw new Error(`no event: ${line}`)
  return event as HistoryEvent
}
