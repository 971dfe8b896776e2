import { describe, expect, it } from 'vitest'
import type { Partition } from '../../../src/cluster/partition/partition.ts'
import { OutgoingMessage } from '../../../src/ingest/mqtt/outgoing-message.ts'
import { headerNames } from '../../../src/ingest/mqtt/record-headers.ts'
import { recordPlace } from '../../../src/ingest/mqtt/outgoing-ids.ts'
import { MqttSession } from '../../../src/ingest/mqtt/session.ts'
import type { DropReason, SessionBounds, SessionLink } from '../../../src/ingest/mqtt/session-types.ts'
import type { EncodedPublish } from '../../../src/protocol/mqtt/encode.ts'
import type { RecordHeader } from '../../../src/protocol/records/record.ts'
import { TopicAliases } from '../../../src/ingest/mqtt/topic-aliases.ts'
import { SessionTable } from '../../../src/ingest/mqtt/session-table.ts'
import { packetBytes } from './packet-bytes.ts'

/** A connection that writes down what the session sends: `payload#id` and `!` for DUP. */
class RecordingLink implements SessionLink {
  readonly level = 4
  readonly aliases = new TopicAliases(0)
  packetBytesMax = Number.POSITIVE_INFINITY
  isWritable = true
  sendWindow: number
  sent: string[] = []

  constructor(sendWindow: number) {
    this.sendWindow = sendWindow
  }

  sendPublish(publish: EncodedPublish, packetId: number, duplicate: boolean): void {
    const packet = packetBytes(publish, packetId, duplicate)
    const qos = ((packet[0] as number) >>> 1) & 3
    const bodyAt = 4 + (packet[3] as number)
    const id = qos === 0 ? '' : `#${(packet[bodyAt] as number) * 256 + (packet[bodyAt + 1] as number)}`
    const payload = Buffer.from(packet.subarray(bodyAt + (qos === 0 ? 0 : 2))).toString()
    this.sent.push(`${payload}${id}${((packet[0] as number) & 8) === 0 ? '' : '!'}`)
  }

  sendRelease(packetId: number): void {
    this.sent.push(`release#${packetId}`)
  }

  flush(): void {}
  takeOver(): void {}

  /** What was sent since the last look. */
  look(): string {
    const seen = this.sent.join(' ')
    this.sent = []
    return seen
  }
}

function message(payload: string, expiresMs?: number): OutgoingMessage {
  const headers: RecordHeader[] = [{ key: headerNames.qos, value: Buffer.from('2') }]
  if (expiresMs !== undefined) headers.push({ key: headerNames.expires, value: Buffer.from(String(expiresMs)) })
  return new OutgoingMessage(Buffer.from('t'), Buffer.from(payload), headers)
}

interface Bench {
  readonly session: MqttSession
  readonly drops: DropReason[]
  readonly bounds: SessionBounds
  offer(payload: string, expiresMs?: number, qos?: 1 | 2): boolean
}

function bench(options: Partial<SessionBounds> = {}): Bench {
  const drops: DropReason[] = []
  const bounds: SessionBounds = {
    queuedMessagesMax: 3,
    queuedBytesMax: 10_000,
    queuedBytesTotalMax: 10_000,
    finishedIdsMax: 8192,
    queuedBytesTotal: 0,
    held: { queued: 0, inflight: 0 },
    onDrop: (_session, reason) => drops.push(reason),
    onRoom: () => {},
    onProgress: () => {},
    recordOutgoing: () => false,
    ...options,
  }
  const session = new MqttSession('c', bounds)
  const offer = (payload: string, expiresMs?: number, qos: 1 | 2 = 1): boolean =>
    session.offer({ message: message(payload, expiresMs), qos, retain: false, subscriptionIds: [], group: null }, 0)
  return { session, drops, bounds, offer }
}

describe('a session', () => {
  it('takes only a few messages in advance while it is behind, of every partition, and asks for more when half of them have gone', () => {
    const asked: number[] = []
    const { session } = bench({
      queuedMessagesMax: 1000,
      queuedBytesMax: 1e6,
      queuedBytesTotalMax: 1e6,
      onRoom: () => asked.push(0),
    })
    const link = new RecordingLink(2)
    session.attach(link, 0)
    const partitions = [{} as Partition, {} as Partition]
    const offer = (offset: number): boolean => {
      const origin = { partition: partitions[offset % 2] as Partition, offset }
      const sent = new OutgoingMessage(Buffer.from('t'), Buffer.from('p'), message('').headers, origin)
      return session.offer({ message: sent, qos: 1, retain: false, subscriptionIds: [], group: null }, 0)
    }
    const taken = (): number => {
      let count = 0
      while (offer(count)) count += 1
      return count
    }
    session.fallBehind(partitions[0] as Partition, 0)
    expect(taken()).toBe(2 + 256)
    asked.length = 0
    for (let packetId = 1; packetId <= 127; packetId += 1) session.acknowledge(packetId, 0)
    expect(asked).toHaveLength(0)
    session.acknowledge(128, 0)
    expect(asked).toHaveLength(1)
    session.behind.clear()
    expect(taken()).toBe(1000 - 128)
  })

  it('sends no more than the window, and the rest as acknowledgements come', () => {
    const { session, offer } = bench()
    const link = new RecordingLink(2)
    session.attach(link, 0)
    for (const payload of ['a', 'b', 'c', 'd']) offer(payload)
    expect(link.look()).toBe('a#1 b#2')
    session.acknowledge(2, 0)
    expect(link.look()).toBe('c#3')
    session.acknowledge(2, 0)
    expect(link.look()).toBe('')
    session.acknowledge(1, 0)
    expect(link.look()).toBe('d#4')
    session.acknowledge(3, 0)
    session.acknowledge(4, 0)
    expect(session.pendingCount).toBe(0)
  })

  it('sends again what was not acknowledged, with DUP, the same id, in order and before anything new', () => {
    const { session, offer } = bench()
    const first = new RecordingLink(3)
    session.attach(first, 0)
    for (const payload of ['a', 'b', 'c', 'd']) offer(payload)
    session.acknowledge(2, 0)
    expect(first.look()).toBe('a#1 b#2 c#3 d#4')
    session.detach()
    expect(offer('e')).toBe(false)
    const second = new RecordingLink(2)
    session.attach(second, 0)
    expect(second.look()).toBe('a#1! c#3!')
    // An id that was not sent on this connection yet cannot be acknowledged on it.
    session.acknowledge(4, 0)
    session.acknowledge(1, 0)
    expect(second.look()).toBe('d#4!')
    session.acknowledge(3, 0)
    session.acknowledge(4, 0)
    offer('e')
    expect(second.look()).toBe('e#5')
    expect(first.look()).toBe('')
  })

  it('keeps a QoS 2 message in the window until PUBCOMP, and never sends it again after PUBREC', () => {
    const { session, offer } = bench()
    const link = new RecordingLink(2)
    session.attach(link, 0)
    for (const payload of ['a', 'b', 'c']) offer(payload, undefined, 2)
    expect(link.look()).toBe('a#1 b#2')
    expect(session.receive(2, 0, 0)).toBe(true)
    expect(session.receive(1, 0, 0)).toBe(true)
    expect(link.look()).toBe('release#2 release#1')
    expect(session.receive(1, 0, 0)).toBe(true)
    expect(link.look()).toBe('release#1')
    session.complete(1, 0)
    expect(link.look()).toBe('c#3')
    session.detach()
    const second = new RecordingLink(2)
    session.attach(second, 0)
    expect(second.look()).toBe('c#3! release#2')
    session.complete(2, 0)
    expect(session.receive(3, 0x97, 0)).toBe(true)
    expect(second.look()).toBe('')
    expect(session.pendingCount).toBe(0)
    expect(session.receive(3, 0, 0)).toBe(false)
  })

  it('says PUBREL of an earlier connection to a client that takes fewer messages now, and begins nothing new before PUBCOMP', () => {
    const { session, offer } = bench()
    session.attach(new RecordingLink(4), 0)
    for (const payload of ['a', 'b', 'c']) offer(payload, undefined, 2)
    session.receive(1, 0, 0)
    session.detach()
    const link = new RecordingLink(1)
    session.attach(link, 0)
    expect(link.look()).toBe('b#2! release#1')
    session.receive(2, 0, 0)
    expect(link.look()).toBe('release#2')
    session.complete(2, 0)
    expect(link.look()).toBe('c#3!')
    offer('d', undefined, 2)
    session.receive(3, 0, 0)
    session.complete(3, 0)
    expect(link.look()).toBe('release#3')
    session.complete(1, 0)
    expect(link.look()).toBe('d#4')
  })

  it('refuses the acknowledgement of the other quality', () => {
    const { session, offer } = bench()
    session.attach(new RecordingLink(5), 0)
    offer('a', undefined, 1)
    offer('b', undefined, 2)
    expect(() => session.receive(1, 0, 0)).toThrow('PUBREC for a QoS 1 message')
    expect(() => session.acknowledge(2, 0)).toThrow('PUBACK for a QoS 2 message')
    for (const id of [1, 2]) expect(() => session.complete(id, 0)).toThrow('PUBCOMP in front of PUBREC')
    session.receive(2, 0, 0)
    expect(() => session.acknowledge(2, 0)).toThrow('PUBACK for a QoS 2 message')
  })

  it('takes no more than its bound, by messages and by bytes: the rest waits in the log', () => {
    const { session, drops, bounds, offer } = bench()
    session.attach(new RecordingLink(1), 0)
    const taken = ['a', 'b', 'c', 'd', 'e', 'f'].map((payload) => offer(payload))
    expect(taken).toEqual([true, true, true, true, false, false])
    expect(drops).toEqual([])
    // Three wait, one is in flight.
    expect(bounds.queuedBytesTotal).toBe(3 * 66 + 66 + 200)
    session.discard()
    expect(bounds.queuedBytesTotal).toBe(0)
    const tight = bench({ queuedBytesTotalMax: 100 })
    tight.session.attach(new RecordingLink(0), 0)
    expect([tight.offer('a'), tight.offer('b')]).toEqual([true, false])
  })

  it('has one message in flight at least, and more as long as all sessions together hold no more than they may', () => {
    const { session, bounds, offer } = bench({ queuedBytesTotalMax: 600 })
    const link = new RecordingLink(10)
    session.attach(link, 0)
    const other = new MqttSession('other', bounds)
    const otherLink = new RecordingLink(10)
    other.attach(otherLink, 0)
    const common = { message: message('common'), qos: 1, retain: false, subscriptionIds: [], group: null } as const
    expect([session.offer(common, 0), other.offer(common, 0)]).toEqual([true, true])
    // The message counts once, each of the two entries by itself.
    expect(bounds.queuedBytesTotal).toBe(71 + 2 * 200)
    expect([offer('a'), offer('b'), offer('c')]).toEqual([true, false, false])
    expect(link.look()).toBe('common#1 a#2')
    const third = new MqttSession('third', bounds)
    third.attach(new RecordingLink(10), 0)
    expect([third.offer(common, 0), third.offer(common, 0)]).toEqual([true, false])
    for (const packetId of [1, 2]) session.acknowledge(packetId, 0)
    expect([offer('b'), link.look()]).toEqual([true, 'b#3'])
    session.acknowledge(3, 0)
    other.acknowledge(1, 0)
    third.discard()
    expect(bounds.queuedBytesTotal).toBe(0)
  })

  it('waits while the socket is full and goes on when it has drained', () => {
    const { session, drops, offer } = bench()
    const link = new RecordingLink(10)
    session.attach(link, 0)
    link.isWritable = false
    session.offer({ message: message('q'), qos: 0, retain: false, subscriptionIds: [], group: null }, 0)
    offer('a')
    expect([link.look(), drops.join()]).toEqual(['', 'slow'])
    link.isWritable = true
    session.pump(0)
    expect(link.look()).toBe('a#1')
  })

  it('keeps the order of a QoS 0 message among others, but needs no window for it', () => {
    const { session, offer } = bench({ queuedMessagesMax: 10 })
    const link = new RecordingLink(1)
    session.attach(link, 0)
    for (const payload of ['a', 'b']) offer(payload)
    session.offer({ message: message('q'), qos: 0, retain: false, subscriptionIds: [], group: null }, 0)
    offer('c')
    expect(link.look()).toBe('a#1')
    session.acknowledge(1, 0)
    expect(link.look()).toBe('b#2 q')
    session.acknowledge(2, 0)
    expect(link.look()).toBe('c#3')
  })

  it('drops what has expired, but not what was sent before', () => {
    const { session, drops, offer } = bench()
    const link = new RecordingLink(1)
    session.attach(link, 0)
    offer('a', 100)
    offer('b', 100)
    offer('c', 900)
    expect(link.look()).toBe('a#1')
    session.detach()
    const next = new RecordingLink(1)
    session.attach(next, 200)
    expect(next.look()).toBe('a#1!')
    session.acknowledge(1, 200)
    expect(next.look()).toBe('c#2')
    expect(drops).toEqual(['expired'])
  })

  it('never sends what is larger than the client takes', () => {
    const { session, drops, offer } = bench()
    const link = new RecordingLink(1)
    link.packetBytesMax = 20
    session.attach(link, 0)
    offer('x'.repeat(40))
    offer('y')
    expect(link.look()).toBe('y#2')
    expect(drops).toEqual(['too_large'])
  })

  it('uses no packet id twice at a time', () => {
    const { session, offer } = bench({ queuedMessagesMax: 100_000, queuedBytesMax: 1e9, queuedBytesTotalMax: 1e9 })
    const link = new RecordingLink(2)
    session.attach(link, 0)
    offer('first')
    for (let count = 0; count < 65_534; count += 1) {
      offer('x')
      session.acknowledge(count + 2, 0)
    }
    link.look()
    offer('y')
    expect(link.look()).toBe('y#2')
  })

  it('begins nothing, and does not look for an id for ever, when all are kept from before a start', () => {
    const { session, offer } = bench()
    const partition = { topicId: 'T', index: 0 } as Partition
    for (let id = 1; id <= 65_535; id += 1)
      session.restoreOutgoing(recordPlace({ partition, offset: id }, null), { packetId: id, isReleased: false }, null)
    const link = new RecordingLink(2)
    session.attach(link, 0)
    expect(offer('x')).toBe(true)
    expect(link.look()).toBe('')
  })
})

describe('the session table', () => {
  function table(sessionsMax: number): { table: SessionTable; ended: string[]; bounds: SessionBounds } {
    const ended: string[] = []
    const { bounds } = bench()
    const onEnd = (session: MqttSession, cause: string): void => void ended.push(`${session.clientId} ${cause}`)
    return { table: new SessionTable({ sessionsMax, bounds, onEnd }), ended, bounds }
  }

  it('keeps a session for its client, and starts a new one on request', () => {
    const { table: sessions, ended } = table(10)
    const first = sessions.open('a', false)
    expect(first?.isPresent).toBe(false)
    expect(sessions.open('a', false)).toEqual({ session: first?.session, isPresent: true })
    const clean = sessions.open('a', true)
    expect(clean?.isPresent).toBe(false)
    expect(clean?.session).not.toBe(first?.session)
    expect(ended).toEqual(['a clean-start'])
  })

  it('makes room by ending the session that has been alone for longest, never a connected one', () => {
    const { table: sessions, ended } = table(2)
    const a = sessions.open('a', false)?.session as MqttSession
    a.attach(new RecordingLink(1), 0)
    sessions.open('b', false)
    sessions.open('c', false)?.session.attach(new RecordingLink(1), 0)
    expect(ended).toEqual(['b evicted'])
    expect(sessions.open('d', false)).toBeNull()
    a.detach()
    sessions.touch(a)
    expect(sessions.open('d', false)).not.toBeNull()
    expect(ended).toEqual(['b evicted', 'a evicted'])
  })
})

describe('QoS 2 to a kept session, whose ids the log takes in any order', () => {
  const partition = { topic: 't', index: 0 } as unknown as Partition

  /** A session whose ids become durable when the test says so, by `message`, or `message released`. */
  function recorded() {
    const settle = new Map<string, () => void>()
    const { session } = bench({
      recordOutgoing: (_session, { place, id: { isReleased } }, then) => {
        settle.set(`${place.origin?.offset}${isReleased ? ' released' : ''}`, () => then(0))
        return true
      },
    })
    const offer = (offset: number): boolean => {
      const headers = [{ key: headerNames.qos, value: Buffer.from('2') }]
      const origin = { partition, offset }
      const sent = new OutgoingMessage(Buffer.from('t'), Buffer.from(`m${offset}`), headers, origin)
      return session.offer({ message: sent, qos: 2, retain: false, subscriptionIds: [], group: null }, 0)
    }
    return { session, offer, settle: (what: string): void => settle.get(what)?.() }
  }

  it('sends the messages in their order [MQTT-4.6.0-6]', () => {
    const { session, offer, settle } = recorded()
    const link = new RecordingLink(10)
    session.attach(link, 0)
    for (const offset of [1, 2, 3]) expect(offer(offset)).toBe(true)
    settle('2')
    settle('3')
    expect(link.look()).toBe('')
    settle('1')
    expect(link.look()).toBe('m1#1 m2#2 m3#3')
  })

  it('says PUBREL in the order of the PUBRECs [MQTT-4.6.0-4]', () => {
    const { session, offer, settle } = recorded()
    const link = new RecordingLink(10)
    session.attach(link, 0)
    for (const offset of [1, 2]) offer(offset)
    for (const offset of [1, 2]) settle(String(offset))
    link.look()
    session.receive(1, 0, 0)
    session.receive(2, 0, 0)
    settle('2 released')
    expect(link.look()).toBe('')
    settle('1 released')
    expect(link.look()).toBe('release#1 release#2')
  })

  it('keeps both orders when the client comes back in between', () => {
    const { session, offer, settle } = recorded()
    session.attach(new RecordingLink(10), 0)
    for (const offset of [1, 2, 3, 4]) offer(offset)
    for (const offset of [1, 2]) settle(String(offset))
    session.receive(1, 0, 0)
    session.receive(2, 0, 0)
    settle('4')
    settle('2 released')
    session.detach()
    const again = new RecordingLink(10)
    session.attach(again, 0)
    expect(again.look()).toBe('')
    settle('1 released')
    expect(again.look()).toBe('release#1 release#2')
    settle('3')
    expect(again.look()).toBe('m3#3 m4#4')
  })
})
