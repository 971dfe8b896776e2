/**
 * The normative statements of MQTT 3.1.1 that bind a server, how each is met, and the test that shows it. The door serves both versions by one
 * code: what is said of 5.0 in conformance-table.ts holds here too, as far as 3.1.1 can express it.
 */
import type { ConformanceRow } from './conformance-table.ts'

/** How many numbered statements each section has. */
export const statements311: Readonly<Record<string, number>> = {
  '1.5.3': 3,
  '2.2.2': 2,
  '2.3.1': 7,
  '3.1.0': 2,
  '3.1.2': 24,
  '3.1.3': 11,
  '3.1.4': 5,
  '3.2.0': 1,
  '3.2.2': 6,
  '3.3.1': 12,
  '3.3.2': 3,
  '3.3.4': 1,
  '3.3.5': 2,
  '3.6.1': 1,
  '3.8.1': 1,
  '3.8.3': 4,
  '3.8.4': 6,
  '3.9.3': 2,
  '3.10.1': 1,
  '3.10.3': 2,
  '3.10.4': 6,
  '3.12.4': 1,
  '3.14.1': 1,
  '3.14.4': 3,
  '4.1.0': 2,
  '4.3.1': 1,
  '4.3.2': 2,
  '4.3.3': 2,
  '4.4.0': 1,
  '4.5.0': 2,
  '4.6.0': 6,
  '4.7.1': 3,
  '4.7.2': 1,
  '4.7.3': 4,
  '4.8.0': 2,
  '6.0.0': 4,
  '7.0.0': 2,
  '7.1.1': 1,
  '7.1.2': 1,
}

/** They bind clients alone. */
export const ofClients311: readonly string[] = [
  '2.3.1-2',
  '2.3.1-3',
  '3.1.2-23',
  '3.1.3-7',
  '3.14.4-1',
  '3.14.4-2',
  '4.5.0-2',
  '4.6.0-1',
  '4.6.0-2',
  '4.6.0-3',
  '4.6.0-4',
  '6.0.0-3',
  '7.1.2-1',
]

const badConnects = '%s is closed without a word'
const badPackets = 'is closed by %s'
const subscribing = 'gets one SUBACK with a return code for each filter in its order: the quality, or 0x80'
const unsubscribing =
  'gets an UNSUBACK of two bytes, also for what it had not subscribed to, and nothing more of what it had'
const flagged = 'has what it published last with the retain flag kept, at QoS 0 too; without the flag nothing changes'
const kept = 'keeps a session: what came meanwhile is delivered, what was not acknowledged comes again with DUP'
const wills = 'publishes the will when the connection is lost, not after DISCONNECT'
const inOrder = 'acknowledges QoS 1 in order, after the commit, and the log has key, value and headers'
const lowerQos = 'delivers what is committed at the lower of the two qualities, once for overlapping filters'
const qos2Out = 'goes PUBLISH, PUBREC, PUBREL, PUBCOMP at level %i'
const foreign = 'PUBLISH of every shape'
const resent = 'says again what was not finished when the client is back: PUBLISH with DUP, or PUBREL'
const oneByOne = 'finds in the trie exactly what matches one by one, through additions and removals'
const present = 'says whether a session was there: never with Clean Session, with 0 when it was'

/** In the order of the specification. */
export const conformance311: readonly ConformanceRow[] = [
  {
    ids: ['1.5.3-1', '1.5.3-2'],
    how: 'A string that is not well-formed UTF-8, or holds U+0000, closes the connection.',
    tests: [
      ['utf8', 'are judged as the platform judges them, but for U+0000'],
      ['old', badPackets],
    ],
  },
  { ids: ['1.5.3-3'], how: 'U+FEFF is a character like any other.', tests: [['utf8', 'keep a leading U+FEFF']] },
  {
    ids: ['2.2.2-1', '2.2.2-2', '3.6.1-1', '3.8.1-1', '3.10.1-1', '3.14.1-1'],
    how: 'Flags of the fixed header other than the listed ones close the connection.',
    tests: [['old', badPackets]],
  },
  {
    ids: ['2.3.1-1', '2.3.1-5'],
    how: 'Packet id 0 closes the connection; at QoS 0 there is none.',
    tests: [
      ['old', badPackets],
      ['encode', foreign],
    ],
  },
  {
    ids: ['2.3.1-4'],
    how: 'Ids of messages to a client go round and pass over those in use.',
    tests: [['session', 'uses no packet id twice at a time']],
  },
  {
    ids: ['2.3.1-6', '2.3.1-7', '3.8.4-2', '3.10.4-4'],
    how: 'Each acknowledgement has the packet id of what it answers.',
    tests: [
      ['door', inOrder],
      ['old', subscribing],
      ['old', unsubscribing],
    ],
  },
  {
    ids: ['3.1.0-1', '3.1.0-2'],
    how: 'Another first packet than CONNECT, and a second CONNECT, close the connection.',
    tests: [
      ['door', 'answers %s'],
      ['old', 'must come first: %s is closed at once, before the deadline of CONNECT'],
      ['door', 'answers %s on an open connection'],
    ],
  },
  {
    ids: ['3.1.2-1', '3.1.2-3', '3.1.4-1', '3.1.3-1', '3.1.3-3', '3.1.3-4'],
    how: 'CONNECT is read field by field; another protocol name, the reserved flag, or fields that do not fit the flags close the connection without CONNACK.',
    tests: [['old', badConnects]],
  },
  { ids: ['3.1.2-2'], how: 'Return code 1 for a level that is not known.', tests: [['door', 'answers %s']] },
  {
    ids: ['3.1.2-4', '3.1.2-5', '3.1.3-2', '3.2.2-2', '3.2.2-3', '4.1.0-1', '4.1.0-2'],
    how: 'With Clean Session 0 the session of the client id goes on, over restarts and power cuts too; QoS 1 and 2 messages of its subscriptions wait for it in the log.',
    tests: [
      ['door', kept],
      ['old', present],
      ['durable', 'has lost nothing of what was acknowledged to its publishers (60 seeds of kills and power cuts)'],
    ],
  },
  {
    ids: ['3.1.2-6', '3.1.4-3', '3.2.2-1'],
    how: 'With Clean Session 1 whatever was kept is forgotten, durably, and nothing is kept of the new session.',
    tests: [
      ['old', present],
      ['durable', 'does not come back when a clean start has ended it, however soon the crash comes'],
    ],
  },
  {
    ids: ['3.1.2-7'],
    how: 'Retained messages belong to their topics: the end of a session does not touch them.',
    tests: [['old', flagged]],
  },
  {
    ids: ['3.1.2-8', '3.1.2-10', '3.1.2-12', '3.14.4-3'],
    how: 'A will is written down with the session, published once after its connection has gone, and forgotten with DISCONNECT.',
    tests: [
      ['door', wills],
      ['old', 'is closed by DISCONNECT, and its will is forgotten'],
      ['durable', 'is published once whenever the crash comes (60 seeds)'],
    ],
  },
  {
    ids: ['3.1.2-9', '3.1.2-11', '3.1.2-13', '3.1.2-14', '3.1.2-15'],
    how: 'Will flag, quality, retain and fields must fit one another.',
    tests: [['old', badConnects]],
  },
  {
    ids: ['3.1.2-16', '3.1.2-17'],
    how: 'A will is retained if it says so.',
    tests: [
      ['retained', 'comes from a will too'],
      ['door', wills],
    ],
  },
  {
    ids: ['3.1.2-18', '3.1.2-19', '3.1.2-20', '3.1.2-21', '3.1.2-22'],
    how: 'User name and password are there as the flags say, a password never alone.',
    tests: [
      ['old', badConnects],
      ['decoder', 'reads the CONNECT example of the 3.1.1 specification (figure 3.6)'],
    ],
  },
  {
    ids: ['3.1.2-24'],
    how: 'Silence of one and a half keep-alives closes the connection; time in which the server itself did not read does not count.',
    tests: [
      ['door', 'disconnects a silent client after one and a half keep-alives, but not while it is itself not reading'],
    ],
  },
  {
    ids: ['3.1.3-5', '3.1.3-6', '3.1.3-8', '3.1.3-9'],
    how: 'Client ids of any characters up to 256 bytes; an empty one is replaced with Clean Session 1, and refused with return code 2 with 0.',
    tests: [
      ['door', 'assigns a client id to whoever has none'],
      ['door', 'refuses enhanced authentication, wills that cannot be stored and long client ids with their reasons'],
    ],
  },
  {
    ids: ['3.1.3-10', '3.1.3-11'],
    how: 'Will topic and user name are strings that are checked as all others.',
    tests: [['decoder', 'throws nothing but its own error, whatever comes']],
  },
  {
    ids: ['3.1.4-2'],
    how: 'The earlier connection of a client id is closed.',
    tests: [['door', 'takes a session over from an earlier connection']],
  },
  {
    ids: ['3.1.4-4', '3.2.0-1'],
    how: 'CONNACK is the first packet; what the client sent behind CONNECT waits for it.',
    tests: [['old', 'may be followed by other packets at once']],
  },
  {
    ids: ['3.1.4-5', '3.2.2-4', '3.2.2-5'],
    how: 'A refusal has Session Present 0 and its return code; nothing behind it is read, and the connection is closed.',
    tests: [['old', 'that is refused has Session Present 0, and nothing behind it is read']],
  },
  {
    ids: ['3.2.2-6'],
    how: 'What no return code says closes the connection without CONNACK.',
    tests: [['encode', 'CONNACK']],
  },
  {
    ids: ['3.3.1-1', '3.3.1-3'],
    how: 'DUP is set when the message was sent before, whatever its publisher had set. After a crash of the daemon a QoS 1 message may come again under another id without DUP.',
    tests: [
      ['door', kept],
      ['session', 'sends again what was not acknowledged, with DUP, the same id, in order and before anything new'],
    ],
  },
  {
    ids: ['3.3.1-2', '3.3.1-4', '4.3.1-1'],
    how: 'QoS 3, and DUP at QoS 0, close the connection and are never sent.',
    tests: [
      ['old', badPackets],
      ['encode', foreign],
    ],
  },
  {
    ids: ['3.3.1-5', '3.3.1-6', '3.3.1-8', '3.3.1-9'],
    how: 'The newest message with the flag is kept and given to new subscriptions with the flag; other deliveries have none. What a kept session has not been sent or has not acknowledged by a crash of the daemon comes after it.',
    tests: [
      ['retained', 'is given to a later subscriber with the flag, at level %i'],
      ['owed', 'come after a %s: those that were not acknowledged, and those that were not sent'],
      ['old', 'is sent the retained messages again when it subscribes again, at the quality of the new subscription'],
    ],
  },
  {
    ids: ['3.3.1-7', '3.3.1-10', '3.3.1-11', '3.3.1-12'],
    how: 'One of QoS 0 replaces it too; an empty one takes it away, is delivered and not kept; one without the flag changes nothing.',
    tests: [
      ['old', flagged],
      ['retained', 'is taken away by an empty payload, which subscribers still get'],
    ],
  },
  {
    ids: ['3.3.2-1', '3.3.2-2', '4.7.1-1', '4.7.3-1', '4.7.3-2', '4.7.3-3'],
    how: 'A topic that is empty, holds a wildcard or U+0000, or is not well-formed closes the connection.',
    tests: [
      ['door', 'answers %s on an open connection'],
      ['utf8', 'are topic names unless they are empty or hold a wildcard'],
    ],
  },
  {
    ids: ['3.3.2-3', '4.7.1-2', '4.7.1-3', '4.7.2-1', '4.7.3-4'],
    how: 'Wildcards take whole levels, `#` the last one, none at the first level a topic that begins with `$`; everything else is compared byte by byte.',
    tests: [
      ['filter', oneByOne],
      ['filter', '%s and %s: %s'],
    ],
  },
  {
    ids: ['3.3.4-1', '4.3.2-2', '4.3.3-2'],
    how: 'PUBACK and PUBREC when the message is durable; at QoS 2 the packet id is durable with it, so that a repeat is not stored.',
    tests: [
      ['door', inOrder],
      ['exactlyOnce', 'stores every message of a client that keeps its own state exactly once (60 seeds)'],
    ],
  },
  {
    ids: ['3.3.5-1'],
    how: 'One copy for overlapping subscriptions, at the highest quality.',
    tests: [['door', lowerQos]],
  },
  {
    ids: ['3.3.5-2', '4.8.0-2'],
    how: 'A publish that is not allowed or cannot be stored is never acknowledged: after a moment the connection is closed.',
    tests: [
      ['door', 'refuses a $ topic with the reason in 5.0 and by closing before'],
      ['door', 'tells a 5.0 client that the disk is full; an older one is kept waiting and closed'],
    ],
  },
  {
    ids: ['3.8.3-1', '3.8.3-3', '3.8.3-4', '3.10.3-1', '3.10.3-2'],
    how: 'A request without a filter, with one that is no string, with QoS 3 or reserved bits closes the connection.',
    tests: [['old', badPackets]],
  },
  {
    ids: ['3.8.3-2'],
    how: 'Does not apply: wildcards are served.',
    tests: [['filter', oneByOne]],
  },
  {
    ids: ['3.8.4-1', '3.8.4-4', '3.8.4-5', '3.8.4-6', '3.9.3-1', '3.9.3-2'],
    how: 'One SUBACK with 0, 1, 2 or 0x80 for each filter, in their order.',
    tests: [['old', subscribing]],
  },
  {
    ids: ['3.8.4-3'],
    how: 'The same filter again replaces the subscription, and its retained messages are sent again.',
    tests: [
      ['old', 'is sent the retained messages again when it subscribes again, at the quality of the new subscription'],
    ],
  },
  {
    ids: ['3.10.4-1', '3.10.4-2', '3.10.4-5', '3.10.4-6'],
    how: 'Filters are compared character by character; one UNSUBACK answers all, also where none was there.',
    tests: [['old', unsubscribing]],
  },
  {
    ids: ['3.10.4-3', '4.3.2-1', '4.3.3-1'],
    how: 'What was sent stays in flight until it is acknowledged, whatever becomes of the subscription.',
    tests: [
      ['delivery', qos2Out],
      ['session', 'keeps a QoS 2 message in the window until PUBCOMP, and never sends it again after PUBREC'],
    ],
  },
  {
    ids: ['3.12.4-1'],
    how: 'PINGREQ is answered at once.',
    tests: [['old', 'may be followed by other packets at once']],
  },
  {
    ids: ['4.4.0-1'],
    how: 'Unfinished PUBLISH and PUBREL are said again under their ids when the client is back. After a crash of the daemon this holds for QoS 2; QoS 1 messages come again under new ids.',
    tests: [['delivery', resent]],
  },
  {
    ids: ['4.5.0-1'],
    how: 'What is committed is owed to every session with a matching subscription, connected or not.',
    tests: [
      ['durable', 'has lost nothing of what was acknowledged to its publishers (60 seeds of kills and power cuts)'],
    ],
  },
  {
    ids: ['4.6.0-5', '4.6.0-6'],
    how: 'A topic is in one partition of the log; its subscribers get it in the order of the log, acknowledgements leave in the order of the publishes.',
    tests: [
      ['catchUp', 'gets thousands of messages of several partitions, each topic in order, with a small queue'],
      ['acks', 'lets nothing pass what came before it'],
    ],
  },
  { ids: ['4.8.0-1'], how: 'What breaks the rules closes the connection.', tests: [['old', badPackets]] },
  { ids: ['6.0.0-1'], how: 'A text frame closes the WebSocket with 1003.', tests: [['webSocket', '%s (%i)']] },
  {
    ids: ['6.0.0-2'],
    how: 'Binary messages are a byte stream: where they and their frames begin and end means nothing.',
    tests: [['webSocket', 'is a stream: bytes come as they were sent, whatever the messages and frames']],
  },
  {
    ids: ['6.0.0-4'],
    how: '`mqtt` is chosen where a client offers it; one that offers `mqttv3.1` alone, which the standard does not know, is answered with that.',
    tests: [['webSocket', 'of a client that offers %j chooses %s']],
  },
  {
    ids: ['7.0.0-1'],
    how: 'Does not apply: the daemon makes no MQTT connections.',
    tests: [['foreign', 'publishes at every quality and hears itself and others']],
  },
  {
    ids: ['7.0.0-2', '7.1.1-1'],
    how: 'TCP, TLS, WebSocket and Unix sockets; foreign clients need nothing but the standard.',
    tests: [
      ['foreign', 'publishes at every quality and hears itself and others'],
      ['foreign', 'speak %s'],
      ['foreign', 'publishes what a client over TCP hears, and hears what that one publishes'],
    ],
  },
]
