/**
 * The normative statements of MQTT 5.0 that bind a server, how each is met, and the test that shows it: docs/mqtt-conformance.md is printed from here.
 * `conformance.test.ts` holds every named test to be there.
 */
export interface ConformanceRow {
  /** Numbers as in [MQTT-x]; several that are met in one place share a row. */
  readonly ids: readonly string[]
  readonly how: string
  /** Where it is shown: a file of `testFiles` and the name of a test in it. Empty: see `how`. */
  readonly tests: readonly (readonly [file: keyof typeof testFiles, name: string])[]
}

export const testFiles = {
  door: 'test/ingest/mqtt/mqtt-door.test.ts',
  delivery: 'test/ingest/mqtt/delivery.test.ts',
  payloadSchema: 'test/ingest/mqtt/payload-schema.test.ts',
  replay: 'test/ingest/mqtt/replay.test.ts',
  retained: 'test/ingest/mqtt/retained.test.ts',
  owed: 'test/ingest/mqtt/retained-owed.test.ts',
  shared: 'test/ingest/mqtt/shared-subscription.test.ts',
  durable: 'test/ingest/mqtt/durable-session.test.ts',
  exactlyOnce: 'test/ingest/mqtt/exactly-once.test.ts',
  carried: 'test/ingest/mqtt/carried-messages.test.ts',
  exactlyOnceOut: 'test/ingest/mqtt/exactly-once-out.test.ts',
  catchUp: 'test/ingest/mqtt/catch-up.test.ts',
  session: 'test/ingest/mqtt/session.test.ts',
  enhanced: 'test/ingest/mqtt/enhanced-authentication.test.ts',
  webSocket: 'test/node/web-socket.test.ts',
  old: 'test/ingest/mqtt/version-311.test.ts',
  foreign: 'test/ingest/mqtt/foreign-clients.test.ts',
  acks: 'test/ingest/mqtt/ack-queue.test.ts',
  headers: 'test/ingest/mqtt/record-headers.test.ts',
  decoder: 'test/protocol/mqtt/stream-decoder.test.ts',
  encode: 'test/protocol/mqtt/encode.test.ts',
  utf8: 'test/protocol/mqtt/utf8.test.ts',
  filter: 'test/protocol/mqtt/topic-filter.test.ts',
} as const

const qos2Out = 'goes PUBLISH, PUBREC, PUBREL, PUBCOMP at level %i'
const foreign = 'PUBLISH of every shape'
const storedOnce = 'stores a repeated message once, over a reconnect, and forgets the id with PUBREL'
const options = 'honours no-local, retain-as-published, identifiers, and sends properties unaltered'
const tooLarge = 'is never sent a packet that is larger than it takes; the others come'
const owed = 'come after a %s: those that were not acknowledged, and those that were not sent'
const handling = 'is given by the retain handling of the subscription'
const kept = 'keeps a session: what came meanwhile is delivered, what was not acknowledged comes again with DUP'
const wills = 'publishes the will when the connection is lost, not after DISCONNECT'
const delayedWill = 'holds a delayed will back until its time, or the end of the session, unless the client returns'
const takeOver = 'takes a session over from an earlier connection'
const badAnswers = 'answers %s on an open connection'
const badConnects = 'answers %s'
const mutations = 'throws nothing but its own error, whatever comes'
const lowerQos = 'delivers what is committed at the lower of the two qualities, once for overlapping filters'

/** In the order of the specification. */
export const conformance5: readonly ConformanceRow[] = [
  {
    ids: ['1.5.4-1', '1.5.4-2', '1.5.7-1', '4.7.3-2', '4.7.3-3'],
    how: 'Every string is checked against RFC 3629 and for U+0000 before it is used; else 0x81.',
    tests: [['utf8', 'are judged as the platform judges them, but for U+0000']],
  },
  { ids: ['1.5.4-3'], how: 'U+FEFF is a character like any other.', tests: [['utf8', 'keep a leading U+FEFF']] },
  {
    ids: ['1.5.5-1'],
    how: 'Variable byte integers are written in their shortest form; a longer one is refused.',
    tests: [
      ['decoder', 'refuses a mutated packet or reads it whole, however the stream is cut'],
      ['encode', foreign],
    ],
  },
  {
    ids: ['2.1.3-1', '3.1.2-3', '3.6.1-1', '3.8.1-1', '3.8.3-5', '3.10.1-1', '3.14.1-1'],
    how: 'Reserved bits that are set are malformed (0x81), and the connection is closed.',
    tests: [['decoder', mutations]],
  },
  { ids: ['2.2.1-2', '2.2.2-1'], how: 'By the layout of the encoder.', tests: [['encode', foreign]] },
  {
    ids: ['2.2.1-4', '4.3.2-1', '4.3.3-1'],
    how: 'Ids go round and pass over those in use, also those that a crash has left in use.',
    tests: [
      ['session', 'uses no packet id twice at a time'],
      ['exactlyOnceOut', 'comes exactly once (40 seeds of kills and power cuts)'],
    ],
  },
  {
    ids: ['2.2.1-5', '3.3.4-1', '4.3.2-4', '4.3.3-8', '4.3.3-11'],
    how: 'PUBACK, PUBREC and PUBCOMP carry the id of what they answer and leave when that is durable.',
    tests: [
      ['door', 'acknowledges QoS 1 in order, after the commit, and the log has key, value and headers'],
      ['door', 'acknowledges nothing while the disk stands still'],
    ],
  },
  {
    ids: ['2.2.1-6', '3.8.4-1', '3.8.4-2', '3.8.4-5', '3.8.4-6', '3.8.4-7', '3.9.3-1', '3.9.3-2'],
    how: 'One SUBACK with a reason code for each filter, in their order; each filter is granted or refused on its own.',
    tests: [
      ['door', 'holds to its bounds on subscriptions'],
      ['encode', 'SUBACK, UNSUBACK, DISCONNECT, PINGRESP'],
    ],
  },
  {
    ids: ['3.1.0-1', '3.1.2-1', '3.1.2-2', '3.1.4-1'],
    how: 'A first packet other than a valid CONNECT closes the connection; 0x84 for another level, 0x81 for a malformed one.',
    tests: [['door', badConnects]],
  },
  { ids: ['3.1.0-2'], how: 'A second CONNECT is a protocol error (0x82).', tests: [['door', badAnswers]] },
  {
    ids: ['3.1.2-4', '3.1.4-4', '3.2.2-2'],
    how: 'Clean Start ends the session that is there, durably, before CONNACK says Session Present 0.',
    tests: [
      ['door', takeOver],
      ['durable', 'does not come back when a clean start has ended it, however soon the crash comes'],
    ],
  },
  {
    ids: ['3.1.2-5', '3.1.2-6', '3.1.2-23', '3.1.3-2', '3.2.2-3', '4.1.0-1', '4.5.0-1'],
    how: 'A kept session is found by its client id, over restarts and power cuts too, with its subscriptions, ids and place in the log.',
    tests: [
      ['door', kept],
      ['durable', 'has lost nothing of what was acknowledged to its publishers (60 seeds of kills and power cuts)'],
    ],
  },
  {
    ids: ['3.1.2-7', '3.1.2-8', '3.1.2-10', '3.14.4-3'],
    how: 'A will is written down with the session, published once after its connection has gone (the daemon itself may have gone), and not after DISCONNECT 0x00.',
    tests: [
      ['door', wills],
      ['durable', 'is published once whenever the crash comes (60 seeds)'],
    ],
  },
  {
    ids: [
      '3.1.2-9',
      '3.1.2-11',
      '3.1.2-13',
      '3.1.2-16',
      '3.1.2-17',
      '3.1.2-18',
      '3.1.2-19',
      '3.1.3-1',
      '3.1.3-3',
      '3.1.3-4',
    ],
    how: 'CONNECT is read by its flags, field after field; what does not add up is malformed.',
    tests: [['decoder', 'reads the requests that mqtt-packet writes']],
  },
  {
    ids: ['3.1.2-14', '3.1.2-15'],
    how: 'A will is retained if it says so.',
    tests: [
      ['retained', 'comes from a will too'],
      ['door', wills],
    ],
  },
  {
    ids: ['3.1.2-22', '3.2.2-22'],
    how: 'Silence of one and a half keep-alives closes the connection (0x8D); time in which the server itself did not read does not count.',
    tests: [
      ['door', 'disconnects a silent client after one and a half keep-alives, but not while it is itself not reading'],
    ],
  },
  {
    ids: ['3.1.2-24', '3.1.2-25'],
    how: 'What is larger than the client takes is dropped and counted, and its delivery is over.',
    tests: [
      ['delivery', tooLarge],
      ['session', 'never sends what is larger than the client takes'],
    ],
  },
  {
    ids: ['3.1.2-26', '3.1.2-27', '3.3.2-7', '3.3.2-8', '3.3.2-11'],
    how: 'Aliases towards a client: from 1 to what it takes, at most 32, anew on each connection.',
    tests: [
      ['delivery', 'names topics once and then by their aliases, no more than it takes, on each connection anew'],
    ],
  },
  { ids: ['3.1.2-28'], how: 'Response Information is never sent.', tests: [['encode', 'CONNACK']] },
  {
    ids: ['3.1.2-29', '3.4.2-2', '3.4.2-3', '3.5.2-2', '3.5.2-3', '3.6.2-2', '3.6.2-3', '3.7.2-2', '3.7.2-3'],
    how: 'Reason strings are sent in DISCONNECT; in a SUBACK that refuses a replay and a PUBACK or PUBREC that refuses a payload where the client takes them; user properties in PUBLISH only.',
    tests: [
      ['encode', 'SUBACK, UNSUBACK, DISCONNECT, PINGRESP'],
      ['replay', 'without words for a client that wants none, or not so many'],
      ['payloadSchema', 'says no reason to who wants none, or takes no packet of that size'],
    ],
  },
  {
    ids: ['3.9.2-1'],
    how: 'A reason string that would make SUBACK larger than the client takes is left out.',
    tests: [['replay', 'without words for a client that wants none, or not so many']],
  },
  {
    ids: ['3.9.2-2', '3.11.2-1', '3.11.2-2', '3.2.2-19', '3.2.2-20', '3.14.2-4'],
    how: 'These packets carry no reason string and no user property.',
    tests: [['encode', 'SUBACK, UNSUBACK, DISCONNECT, PINGRESP']],
  },
  {
    ids: ['3.1.3-5', '3.1.3-8'],
    how: 'Client ids of up to 256 bytes and any characters are taken, longer ones refused with 0x85.',
    tests: [
      ['door', 'refuses enhanced authentication, wills that cannot be stored and long client ids with their reasons'],
    ],
  },
  {
    ids: ['3.1.3-6', '3.1.3-7', '3.2.2-16'],
    how: 'An empty client id is replaced by one of 96 random bits, which CONNACK tells.',
    tests: [['door', 'assigns a client id to whoever has none']],
  },
  {
    ids: ['3.1.3-9'],
    how: 'A client that is back within the delay takes its will back, over a restart too.',
    tests: [
      ['door', delayedWill],
      ['durable', 'is taken back by a client that returns after the crash within the delay'],
    ],
  },
  {
    ids: ['3.1.3-11', '3.1.3-12'],
    how: 'Will topic and user name are strings that are checked as all others.',
    tests: [['decoder', mutations]],
  },
  {
    ids: ['3.1.4-2'],
    how: 'Who the client is, what it may do with the session, its will and its client id are judged before CONNACK; each refusal has its reason.',
    tests: [
      ['door', 'refuses enhanced authentication, wills that cannot be stored and long client ids with their reasons'],
      ['enhanced', 'is the only way in where passwords are not asked for; where they are, either will do'],
    ],
  },
  { ids: ['3.1.4-3'], how: 'The earlier connection is told 0x8E and closed.', tests: [['door', takeOver]] },
  {
    ids: ['3.1.4-5', '3.2.0-1', '3.2.0-2', '3.14.0-1'],
    how: 'CONNACK is the first packet, sent once, when the session is durable; packets behind CONNECT wait for it.',
    tests: [['durable', 'is not promised before it is durable']],
  },
  {
    ids: ['3.1.4-6', '3.2.2-6', '3.2.2-7', '3.2.2-8'],
    how: 'A refusal says Session Present 0 and a code of the table, and ends the connection; nothing behind it is read.',
    tests: [['door', badConnects]],
  },
  { ids: ['3.2.2-1'], how: 'By the layout of the encoder.', tests: [['encode', 'CONNACK']] },
  {
    ids: ['3.2.2-9', '3.2.2-10', '3.2.2-12', '3.2.2-13'],
    how: 'Do not apply: all qualities and retained messages are served.',
    tests: [['delivery', qos2Out]],
  },
  {
    ids: ['3.3.1-1', '3.3.1-3', '4.3.2-2', '4.3.3-2'],
    how: "DUP is set when the message was sent before, whatever the publisher's DUP was. After a crash of the daemon a QoS 1 message may come again under another id without DUP.",
    tests: [
      ['door', kept],
      ['session', 'sends again what was not acknowledged, with DUP, the same id, in order and before anything new'],
    ],
  },
  {
    ids: ['3.3.1-2', '3.3.1-4', '4.3.1-1'],
    how: 'QoS 3, and DUP at QoS 0, are refused and never sent.',
    tests: [
      ['decoder', mutations],
      ['encode', foreign],
    ],
  },
  {
    ids: ['3.3.1-5', '3.3.1-8'],
    how: 'The newest message with the flag is kept, in one commit with the message itself; one without the flag changes nothing.',
    tests: [
      ['retained', 'is given to a later subscriber with the flag, at level %i'],
      [
        'retained',
        'that was acknowledged survives, and the topic has what the log has last (60 seeds of kills and power cuts)',
      ],
    ],
  },
  {
    ids: ['3.3.1-6', '3.3.1-7'],
    how: 'An empty payload takes the retained message away and is delivered.',
    tests: [['retained', 'is taken away by an empty payload, which subscribers still get']],
  },
  {
    ids: ['3.3.1-9', '3.3.1-10', '3.3.1-11', '3.8.4-4'],
    how: 'Retain Handling 0, 1 and 2. What a kept session has not been sent or has not acknowledged by a crash of the daemon comes after it.',
    tests: [
      ['retained', handling],
      ['owed', owed],
    ],
  },
  { ids: ['3.3.1-12', '3.3.1-13'], how: 'Retain As Published 0 and 1.', tests: [['door', options]] },
  {
    ids: ['3.3.2-1', '3.3.2-2', '4.7.0-1', '4.7.3-1'],
    how: 'An empty topic, one with a wildcard (0x90) or not well-formed (0x81) is refused.',
    tests: [['door', badAnswers]],
  },
  {
    ids: ['3.3.2-3', '4.7.3-4'],
    how: 'Topics are matched byte by byte and sent as they came.',
    tests: [['filter', 'finds in the trie exactly what matches one by one, through additions and removals']],
  },
  {
    ids: ['3.3.2-4', '3.3.2-15', '3.3.2-16', '3.3.2-17', '3.3.2-18', '3.3.2-20'],
    how: 'Properties are kept as record headers and come back unaltered, user properties in their order.',
    tests: [
      ['door', options],
      ['headers', 'bring every property back, user properties in order'],
    ],
  },
  {
    ids: ['3.3.2-5', '3.3.2-6'],
    how: 'What has expired is not sent; else the interval is what is left of it.',
    tests: [
      ['session', 'drops what has expired, but not what was sent before'],
      ['retained', 'expires, and what is left of its time is told'],
    ],
  },
  {
    ids: ['3.3.2-9', '3.3.2-12'],
    how: 'Aliases from 1 to the announced maximum are taken; beyond it 0x94.',
    tests: [['door', 'takes topic aliases of 5.0 and refuses those it did not announce']],
  },
  {
    ids: ['3.3.2-13', '3.3.2-14', '3.3.2-19', '3.3.4-6'],
    how: 'A response topic with a wildcard, a subscription identifier from a client and strings that are none are refused.',
    tests: [['decoder', mutations]],
  },
  {
    ids: ['3.3.4-2', '3.3.4-3', '3.3.4-4'],
    how: 'One copy for overlapping subscriptions, at the highest quality, with all their identifiers.',
    tests: [
      ['door', lowerQos],
      ['door', options],
    ],
  },
  {
    ids: ['3.3.4-7'],
    how: 'A client that goes beyond Receive Maximum is disconnected with 0x93.',
    tests: [['door', 'disconnects a 5.0 client that exceeds Receive Maximum']],
  },
  {
    ids: ['3.3.4-9', '4.9.0-1', '4.9.0-2'],
    how: "Never more unfinished messages than the client's Receive Maximum, from PUBLISH to PUBACK or PUBCOMP.",
    tests: [
      ['delivery', "never has more unfinished than the client's Receive Maximum"],
      ['session', 'keeps a QoS 2 message in the window until PUBCOMP, and never sends it again after PUBREC'],
    ],
  },
  {
    ids: ['3.3.4-10', '4.9.0-3'],
    how: 'Only messages wait for the window; QoS 0 messages pass when nothing is before them.',
    tests: [['session', 'keeps the order of a QoS 0 message among others, but needs no window for it']],
  },
  {
    ids: ['3.4.2-1', '3.5.2-1', '3.6.2-1', '3.7.2-1'],
    how: 'Acknowledgements say 0x00 or a code of their table: 0x83, 0x87, 0x90, 0x97 in PUBACK and PUBREC, 0x92 in PUBREL and PUBCOMP.',
    tests: [
      ['door', 'tells a 5.0 client that the disk is full; an older one is kept waiting and closed'],
      ['acks', 'never says that a failed release is complete'],
    ],
  },
  {
    ids: ['3.8.3-1', '3.8.3-2', '3.10.3-1', '3.10.3-2'],
    how: 'A request without a filter is a protocol error, a filter that is no string malformed.',
    tests: [['decoder', mutations]],
  },
  {
    ids: ['3.8.3-3'],
    how: 'A client does not get its own messages by a no-local subscription.',
    tests: [['door', options]],
  },
  {
    ids: ['3.8.3-4'],
    how: 'No-local on a shared subscription is a protocol error (0x82).',
    tests: [['shared', 'is refused with no-local, and without a name or a filter']],
  },
  {
    ids: ['3.8.4-3'],
    how: 'The same filter again replaces the subscription; its place in the log stays.',
    tests: [['retained', handling]],
  },
  { ids: ['3.8.4-8'], how: 'The lower of both qualities.', tests: [['door', lowerQos]] },
  {
    ids: ['3.10.4-1', '3.10.4-2', '3.10.4-4', '3.10.4-5', '3.10.4-6', '3.11.3-1', '3.11.3-2'],
    how: 'Filters are compared character by character; UNSUBACK has a code for each, 0x11 for one that was not there.',
    tests: [
      ['door', kept],
      ['encode', 'SUBACK, UNSUBACK, DISCONNECT, PINGRESP'],
    ],
  },
  {
    ids: ['3.10.4-3', '4.3.2-3', '4.3.3-3', '4.3.3-5'],
    how: 'What was sent stays in flight until it is acknowledged, whatever becomes of the subscription.',
    tests: [['session', 'sends no more than the window, and the rest as acknowledgements come']],
  },
  {
    ids: ['3.12.4-1'],
    how: 'PINGREQ is answered at once.',
    tests: [['door', 'keeps messages in order while their topic is being created']],
  },
  { ids: ['3.14.2-2'], how: 'Never sent.', tests: [['encode', 'SUBACK, UNSUBACK, DISCONNECT, PINGRESP']] },
  {
    ids: ['3.14.2-3', '3.14.4-1', '3.14.4-2'],
    how: 'DISCONNECT carries its text only where the client takes it, is the last packet, and the connection is closed.',
    tests: [['door', badAnswers]],
  },
  {
    ids: ['3.15.1-1', '3.15.2-1'],
    how: 'AUTH with reserved flags, or with a reason code that is not for clients, ends the connection.',
    tests: [['enhanced', 'ends when the client answers the challenge with %s']],
  },
  {
    ids: ['3.15.2-2', '3.15.2-3'],
    how: 'AUTH of this server holds the method and its data, and no text or user property.',
    tests: [['enhanced', 'lets a user in by %s, and the server proves itself']],
  },
  {
    ids: ['4.1.0-2'],
    how: 'A session ends when its expiry has passed without a connection, also while the daemon is away.',
    tests: [
      ['door', 'ends a session when its expiry has passed, or at once without one'],
      ['durable', 'ends when its time is over while the daemon is away, and not before'],
    ],
  },
  {
    ids: ['4.3.2-5'],
    how: 'At QoS 1 every PUBLISH is a new message: DUP is not looked at.',
    tests: [['door', 'acknowledges QoS 1 in order, after the commit, and the log has key, value and headers']],
  },
  {
    ids: ['4.3.3-4', '4.3.3-6', '4.6.0-4'],
    how: 'PUBREL answers PUBREC, in their order; from then on PUBREL is said again, never PUBLISH.',
    tests: [
      ['delivery', 'says again what was not finished when the client is back: PUBLISH with DUP, or PUBREL'],
      [
        'exactlyOnceOut',
        'says after a crash under the same id what the client has not released, and PUBREL for what it has',
      ],
      ['session', 'says PUBREL in the order of the PUBRECs [MQTT-4.6.0-4]'],
    ],
  },
  {
    ids: ['4.3.3-7', '4.3.3-13'],
    how: 'Expiry is looked at before the first sending only.',
    tests: [['session', 'drops what has expired, but not what was sent before']],
  },
  {
    ids: ['4.3.3-9', '4.3.3-10', '4.3.3-12'],
    how: 'Message and id are one commit; a repeated PUBLISH is acknowledged and stored once, over kills and power cuts, until the id is released or refused.',
    tests: [
      ['door', storedOnce],
      ['exactlyOnce', 'stores every message of a client that keeps its own state exactly once (60 seeds)'],
    ],
  },
  {
    ids: ['4.4.0-1', '4.6.0-1'],
    how: 'Unfinished PUBLISH and PUBREL are said again under their ids, in their order, when the client is back, and at no other time. After a crash of the daemon this holds for QoS 2; QoS 1 messages come again under new ids.',
    tests: [
      ['carried', 'is said again under its id after a %s, as it was sent, and PUBREL for what the client has'],
      ['delivery', 'says again what was not finished when the client is back: PUBLISH with DUP, or PUBREL'],
      ['session', 'sends again what was not acknowledged, with DUP, the same id, in order and before anything new'],
    ],
  },
  {
    ids: ['4.4.0-2'],
    how: 'Any reason code ends the delivery.',
    tests: [['delivery', "never has more unfinished than the client's Receive Maximum"]],
  },
  {
    ids: ['4.6.0-2', '4.6.0-3'],
    how: 'Acknowledgements leave in the order of the publishes.',
    tests: [['acks', 'lets nothing pass what came before it']],
  },
  {
    ids: ['4.6.0-5', '4.6.0-6'],
    how: 'A topic is in one partition of the log, and its subscribers get it in the order of the log.',
    tests: [
      ['catchUp', 'gets thousands of messages of several partitions, each topic in order, with a small queue'],
      ['session', 'sends the messages in their order [MQTT-4.6.0-6]'],
    ],
  },
  {
    ids: ['4.7.1-1', '4.7.1-2', '4.7.2-1'],
    how: 'Wildcards take whole levels, `#` the last one; none at the first level matches a topic that begins with `$`.',
    tests: [['filter', 'finds in the trie exactly what matches one by one, through additions and removals']],
  },
  {
    ids: ['4.8.2-1', '4.8.2-2'],
    how: 'A share name is there and holds no wildcard, and a filter follows; else 0x81.',
    tests: [['shared', 'is refused with no-local, and without a name or a filter']],
  },
  {
    ids: ['4.8.2-3', '4.8.2-4'],
    how: 'A shared message goes at the quality of the member it is given to, which finishes what was begun when it is back; at QoS 2 over a crash of the daemon too, at QoS 1 it may go to another member then.',
    tests: [
      ['shared', 'gives what a member had not acknowledged at QoS 1 to another when its session ends'],
      ['carried', 'is finished by the member that it was given to, under its id, after a %s, and given to no other'],
    ],
  },
  {
    ids: ['4.8.2-5', '4.8.2-6'],
    how: 'What was begun at QoS 2, or refused by its member, is given to no other member: at QoS 2 over a crash of the daemon too, where its session is kept.',
    tests: [
      ['shared', 'never gives a QoS 2 message that was begun to another member'],
      ['carried', "is nobody's when the session of its member ends, over a %s too [MQTT-4.8.2-5]"],
    ],
  },
  {
    ids: ['4.12.0-1'],
    how: 'An authentication method that the listener has not is refused with 0x8C.',
    tests: [['enhanced', 'refuses %s']],
  },
  {
    ids: ['4.12.0-2', '4.12.0-3', '4.12.0-5'],
    how: 'SCRAM is an exchange of AUTH with 0x18 and the method of CONNECT, which CONNACK repeats with the last data; anything else from the client ends it.',
    tests: [
      ['enhanced', 'lets a user in by %s, and the server proves itself'],
      ['enhanced', 'ends when the client answers the challenge with %s'],
    ],
  },
  {
    ids: ['4.12.0-4'],
    how: 'A failed exchange ends with CONNACK 0x87, after the same pause as a wrong password.',
    tests: [['enhanced', 'refuses %s with 0x87, after a while']],
  },
  {
    ids: ['4.12.0-6', '4.12.0-7'],
    how: 'Without a method in CONNECT no AUTH is sent, and one that comes is a protocol error.',
    tests: [['enhanced', 'of a client that came by its password is a protocol error']],
  },
  {
    ids: ['4.12.1-1'],
    how: 'A client may authenticate again by the method of its CONNECT, as the same user, while messages flow.',
    tests: [
      ['enhanced', 'goes on while messages flow, and ends with AUTH 0x00'],
      ['enhanced', '%s is refused'],
    ],
  },
  {
    ids: ['4.12.1-2'],
    how: 'When that fails the client is told 0x87 in DISCONNECT and the connection is closed.',
    tests: [['enhanced', 'with %s ends the connection with 0x87']],
  },
  {
    ids: ['6.0.0-1'],
    how: 'A text frame closes the WebSocket with 1003.',
    tests: [['webSocket', '%s (%i)']],
  },
  {
    ids: ['6.0.0-2'],
    how: 'Binary messages are a byte stream: where they and their frames begin and end means nothing.',
    tests: [['webSocket', 'is a stream: bytes come as they were sent, whatever the messages and frames']],
  },
  {
    ids: ['6.0.0-3', '6.0.0-4'],
    how: 'A client must offer the sub-protocol `mqtt` (`mqttv3.1` is taken too), and is answered with it.',
    tests: [
      ['webSocket', 'of a client that offers %j chooses %s'],
      ['webSocket', '%s is answered %s'],
    ],
  },
]
