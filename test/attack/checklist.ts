/**
 * The check-list of attacks: what is done about each, which test shows it, and what is not shown. docs/attacks.md is printed from it; a test
 * holds it to the tests that it names.
 */

export interface AttackRow {
  readonly id: string
  readonly attack: string
  readonly answer: string
  /** File under test/, and a part of the name of the test or row. */
  readonly shownBy: readonly (readonly [file: string, name: string])[]
  /** What no test shows, because the room is not built or the test would not be short; empty = nothing known. */
  readonly open: string
}

export const attackRows: readonly AttackRow[] = [
  {
    id: 'A1',
    attack: 'Frames that are announced huge before anybody has said who he is',
    answer:
      'A length is judged before memory is taken: 512 KiB for Kafka until authentication, the packet limit for MQTT.',
    shownBy: [
      ['attack/kafka-frames.ts', 'a frame longer than the bound is refused at its length'],
      ['attack/kafka-frames.ts', 'a negative length, and frames too short'],
      ['attack/mqtt-packets.ts', 'what is not a lawful CONNECT is refused'],
      ['attack/kafka-load.ts', 'clients that announce the largest frame and fall silent'],
    ],
    open: '',
  },
  {
    id: 'A2',
    attack: 'Clients that ask for much and read nothing',
    answer:
      'Requests and answers under way share bounded budgets, and what a Fetch reads is out of one before it is read; sockets are paused above them.',
    shownBy: [
      ['attack/kafka-load.ts', 'clients that each send 10,000 Fetches'],
      ['attack/mqtt-load.ts', 'subscribers that never read'],
    ],
    open: '',
  },
  {
    id: 'A3',
    attack: 'Floods of connections',
    answer: 'Limits in all, of each address, of each listener, and a rate; counted before any handshake.',
    shownBy: [
      ['attack/kafka-load.ts', 'connections beyond max.connections are closed at once'],
      ['attack/mqtt-listeners.ts', "of connections beyond a listener's limit"],
      ['attack/floods.ts', 'in a row'],
      ['security/connection-limits.test.ts', 'that says nothing is refused'],
    ],
    open: '',
  },
  {
    id: 'A4',
    attack: 'Clients that are endlessly slow',
    answer: 'Whoever has not authenticated has ten seconds in all, however they are spent.',
    shownBy: [
      ['attack/mqtt-load.ts', 'connections that never send CONNECT are closed at the deadline'],
      ['attack/mqtt-load.ts', 'a CONNECT that comes a byte at a time has the same deadline'],
      ['attack/mqtt-listeners.ts', 'slow beginnings of every kind are over in time'],
      ['attack/kafka-load.ts', 'clients that send one byte a second hurt nobody'],
    ],
    open: '',
  },
  {
    id: 'A5',
    attack: 'Using up file descriptors',
    answer:
      'Connections are bounded by the limit of open files less what the log needs; a configuration that cannot be read again stays as it is.',
    shownBy: [
      ['attack/limits.ts', 'partitions are made, written and rolled with at most'],
      ['security/tls-keeper.test.ts', 'puts a renewed certificate in force'],
    ],
    open: '',
  },
  {
    id: 'A6',
    attack: 'Decompression bombs',
    answer: 'What a batch opens to is bounded before and while it opens, off the loop.',
    shownBy: [
      ['attack/broken-batches.ts', 'gzip of 200 MB'],
      ['attack/broken-batches.ts', 'snappy that claims 2 GB'],
      ['attack/kafka-load.ts', 'clients that send batches which open to hundreds of megabytes'],
    ],
    open: '',
  },
  {
    id: 'A7',
    attack: 'Requests of Kafka whose counts, lengths and tags lie',
    answer:
      'No array is made for a count that the bytes cannot hold; whatever is not a message is a ProtocolError. A request names 60,000 things at most, and what it asks for many times it is told once.',
    shownBy: [
      ['protocol/kafka/compile.test.ts', 'when mutated give a value or a ProtocolError'],
      ['protocol/kafka/compile.test.ts', 'makes no array for a count that the bytes cannot hold'],
      ['attack/kafka-frames.ts', 'counts of 2^31-1 and strings beyond the frame'],
      ['attack/kafka-repeats.ts', 'requests that name one thing ten thousand times'],
      ['attack/fuzz.ts', 'Kafka: frames, requests and SASL messages are read or refused, whatever their bytes'],
    ],
    open: 'The goal of 10^9 inputs takes hours (`--inputs`); a run of the tests has some hundred thousand.',
  },
  {
    id: 'A8',
    attack: 'MQTT packets that lie',
    answer:
      'One decoder for all; a packet is read whole or refused, however the stream is cut. Payloads of Sparkplug are looked into only where they are to be decoded, in slices and within bounds.',
    shownBy: [
      ['protocol/mqtt/stream-decoder.test.ts', 'refuses a mutated packet or reads it whole'],
      ['ingest/mqtt/mqtt-door.test.ts', 'takes topic aliases of 5.0 and refuses those it did not announce'],
      ['attack/fuzz.ts', 'MQTT: packets and PROXY headers are read or refused, whatever their bytes'],
      [
        'protocol/sparkplug/payload-properties.test.ts',
        'is decoded or refused with a reason: mutants of foreign payloads',
      ],
      [
        'protocol/sparkplug/payload-properties.test.ts',
        'metrics, rows and properties: refused before anything is made of them',
      ],
    ],
    open: 'The goal of 10^9 inputs takes hours (`--inputs`); a run of the tests has some hundred thousand.',
  },
  {
    id: 'A9',
    attack: 'Broken record batches',
    answer:
      'Every record of a batch is checked before it is appended; the answer has the error that Apache Kafka gives.',
    shownBy: [
      ['attack/kafka-batches.ts', 'each kind of broken batch is answered with its error'],
      ['attack/broken-batches.ts', 'a control batch'],
      ['attack/peer.ts', 'broken batches have the error here that they have at Apache Kafka'],
    ],
    open: '',
  },
  {
    id: 'A10',
    attack: 'Topics of many levels, and filters that match everything',
    answer: 'Levels and subscriptions are bounded; matching does not recurse.',
    shownBy: [
      ['ingest/mqtt/retained.test.ts', 'refuses a topic of more levels than filters may have'],
      ['ingest/mqtt/mqtt-door.test.ts', 'holds to its bounds on subscriptions'],
      ['attack/floods.ts', 'filters of many wildcards are bounded for each session'],
    ],
    open: '',
  },
  {
    id: 'A11',
    attack: 'Sessions, packet ids and retained messages without end',
    answer: 'Each has a bound, with the reason code that MQTT has for it.',
    shownBy: [
      ['ingest/mqtt/mqtt-door.test.ts', 'disconnects a 5.0 client that exceeds Receive Maximum'],
      ['ingest/mqtt/session.test.ts', 'takes no more than its bound, by messages and by bytes'],
      ['attack/floods.ts', 'client ids whose sessions never expire'],
    ],
    open: '',
  },
  {
    id: 'A12',
    attack: 'A reader that stands still',
    answer: 'It waits alone: what it misses is read from the log when it goes on.',
    shownBy: [['attack/mqtt-load.ts', 'subscribers that never read']],
    open: '',
  },
  {
    id: 'A13',
    attack: 'WebSocket abuse',
    answer:
      'No compression, a list of origins, a subprotocol that must be offered, messages bounded in all their parts.',
    shownBy: [
      ['attack/mqtt-listeners.ts', 'mutated upgrades and as many mutated frames hurt nobody'],
      ['attack/mqtt-listeners.ts', 'messages in parts of one byte'],
      ['attack/mqtt-listeners.ts', 'pings of a client that does not read'],
    ],
    open: '',
  },
  {
    id: 'A14',
    attack: 'Names of Object.prototype',
    answer: 'Keys from outside live in maps.',
    shownBy: [
      ['security/prototype-names.test.ts', 'change nothing that everything inherits, and hurt nobody'],
      ['security/prototype-names.test.ts', 'are client ids, topics, retained messages and properties of MQTT'],
      ['ingest/mqtt/retained-store.test.ts', '__proto__'],
      ['security/authenticator.test.ts', '__proto__'],
      ['security/http-access.test.ts', 'a name of Object.prototype'],
    ],
    open: '',
  },
  {
    id: 'A15',
    attack: 'TLS: renegotiation, downgrade, handshakes that are none, floods of them',
    answer: 'TLS 1.2 and 1.3 only, no renegotiation, a bounded number of handshakes with ten seconds each.',
    shownBy: [
      ['node/tls.test.ts', 'refuses to renegotiate'],
      ['node/tls.test.ts', 'serves on after a handshake that is no handshake'],
      ['node/tls.test.ts', 'bounds the handshakes that are under way'],
      ['attack/floods.ts', 'handshakes that end behind the first message'],
      ['node/crl.test.ts', 'refuses what stands in it and takes the rest'],
      ['node/tls-outbound.test.ts', 'to a server that proves its address or its name'],
    ],
    open: '',
  },
  {
    id: 'A16',
    attack: 'SCRAM: lies in its messages, guesses, telling users apart',
    answer:
      'Its grammar to the letter; an unknown user costs and looks the same; failures are slow, counted over all doors, and lock out.',
    shownBy: [
      ['security/sasl/scram-server.test.ts', 'has more than 40 forms that it refuses'],
      ['security/sasl/scram-server.test.ts', 'answers a user that is not there like one that is'],
      ['security/authenticator.test.ts', 'costs one derivation for a name that is not there'],
      ['security/invented-credential.test.ts', 'reads one key: its own of a name that is there'],
      ['security/authenticator.test.ts', 'is locked out at that address'],
      ['security/http-access.test.ts', 'at HTTP, Kafka and MQTT are counted together'],
      ['security/sasl/scram-client.test.ts', 'a server that does not know the password is not believed'],
      ['security/tokens/token-check.test.ts', 'a token that nobody has signed for us is a guess'],
    ],
    open: 'Times are compared by the bench alone (`telling-users-apart`); the tests compare the work.',
  },
  {
    id: 'A17',
    attack: 'Getting around access control',
    answer: "Kafka's own rules, differentially judged; who may not see a thing is answered as if it were not there.",
    shownBy: [
      ['interop/cases/authorizer.ts', "are judged as Kafka's StandardAuthorizer judges them"],
      ['security/no-rights.test.ts', 'meets a guard at every API'],
      ['security/foreign-acl.test.ts', 'leaves no will where it may not publish'],
      ['ingest/mqtt/topic-mapping.test.ts', 'are legal, and equal only for equal levels'],
    ],
    open: '',
  },
  {
    id: 'A18',
    attack: 'Paths in names',
    answer: "Only Kafka's charset reaches the file system.",
    shownBy: [
      ['attack/kafka-names.ts', 'illegal topic names are refused'],
      ['attack/floods.ts', 'make no file anywhere but in the data directory'],
    ],
    open: 'Object stores are not built.',
  },
  {
    id: 'A19',
    attack: 'Making the daemon call somebody (SSRF)',
    answer:
      'No address comes from a client: bootstrap servers and the URL of keys stand in the file of the operator; what a token says of keys is not looked at, no redirection is followed.',
    shownBy: [
      ['node/document-fetch.test.ts', 'and nobody else is asked'],
      ['security/tokens/token-key-keeper.test.ts', 'a URL of keys'],
    ],
    open: 'The central cluster names its own brokers, and the mirror connects to them: it is trusted with that.',
  },
  {
    id: 'A20',
    attack: 'A central cluster that lies',
    answer: 'Answers are bounded and matched to their requests; nothing is deleted here because of them.',
    shownBy: [
      ['protocol/kafka/client-connection.test.ts', 'when an answer is late'],
      ['mirror/mirror-link.test.ts', 'a target topic that was deleted and created anew'],
    ],
    open: 'Object stores are not built.',
  },
  {
    id: 'A21',
    attack: 'Secrets where they do not belong',
    answer:
      'Passwords are kept as SCRAM credentials and tokens as digests; nothing that holds one is handed to the log, the audit or a figure.',
    shownBy: [
      ['security/audit.test.ts', 'holds no secret, and neither do logs'],
      ['security/no-secret-fields.test.ts', 'is in an event of the log'],
      ['security/foreign-sasl.test.ts', 'what is logged holds no password and no proof'],
      ['security/http-access.test.ts', 'until it is revoked, and over a restart'],
    ],
    open: 'There is no support bundle.',
  },
  {
    id: 'A22',
    attack: 'Guessing by time',
    answer:
      'Secrets are compared as digests of one length, in constant time; tokens and sessions are found by digests.',
    shownBy: [['security/access-tokens.test.ts', 'is found by its digest']],
    open: 'Times are not compared.',
  },
  {
    id: 'A23',
    attack: 'Writing into log and audit',
    answer: 'Both escape what a terminal would obey; the audit is a chain of hashes that is checked offline.',
    shownBy: [
      ['admin/event-log.test.ts', 'is shown and obeyed by nobody'],
      ['security/audit-chain.test.ts', 'shows no control character'],
      ['security/audit-chain.test.ts', 'names the first place of'],
      ['security/audit.test.ts', 'what was done to it is named'],
    ],
    open: '',
  },
  {
    id: 'A24',
    attack: 'The browser of an operator',
    answer: 'Answers are no pages; sessions are SameSite cookies, changes need a header of ours and no foreign origin.',
    shownBy: [
      ['security/http-access.test.ts', 'changes nothing for a page of somebody else'],
      ['security/http-access.test.ts', 'is a cookie that no script reads'],
      ['security/http-access.test.ts', 'answers hold no page'],
      ['security/http-access.test.ts', 'a name that somebody has pointed at this machine'],
    ],
    open: 'There is no web page yet, and so nothing to inject into.',
  },
  {
    id: 'A25',
    attack: 'A fresh installation that is open',
    answer:
      'Three ports of the loopback; a listener beyond it without protection keeps the daemon from starting; no password comes with the product.',
    shownBy: [
      ['security/black-box.test.ts', 'listens on three ports of the loopback and nowhere else'],
      ['security/first-start.test.ts', 'does not open a listener with passwords to other hosts before there is a user'],
      ['admin/cli/setup.test.ts', 'makes an admin, closes the listeners'],
      ['security/set-up.test.ts', 'ends every client without a name at once'],
    ],
    open: '',
  },
  {
    id: 'A26',
    attack: 'Figures, health and debuggers without a name',
    answer: 'After set-up only health answers strangers, with yes or no; no signal opens a debugger.',
    shownBy: [
      ['security/http-access.test.ts', 'health is told to everybody and without reasons'],
      ['security/black-box.test.ts', 'does not open a debugger'],
    ],
    open: '',
  },
  {
    id: 'A27',
    attack: 'Filling the tables of producers, groups and fetch sessions',
    answer: 'Each table has a bound, and the oldest or the newcomer gives way.',
    shownBy: [
      ['broker/fetch-session.test.ts', 'bounds the partitions of one session and of all'],
      ['coordinator/group/classic-protocol.test.ts', 'beyond the bound on groups is refused'],
      ['attack/floods.ts', 'producer ids and as many group names that nobody uses'],
    ],
    open: 'Transactions are not built.',
  },
  {
    id: 'A28',
    attack: 'Clients that play a broker',
    answer: 'No API of brokers among themselves is served.',
    shownBy: [['attack/kafka-frames.ts', 'an unknown API key closes its connection']],
    open: 'A second node is not built.',
  },
  {
    id: 'A29',
    attack: 'Old epochs',
    answer: 'Leader epochs and members of old are fenced.',
    shownBy: [['broker/fetch.test.ts', 'is a leader epoch that is older or newer than ours']],
    open: '',
  },
  {
    id: 'A30',
    attack: 'Regular expressions that take for ever',
    answer: 'No expression comes from a client: those of mirrors and principals stand in the file of the operator.',
    shownBy: [['mirror/topic-policy.test.ts', 'a wrong pattern or template is refused when the mirror is built']],
    open: 'Group protocols with expressions on the server (KIP-848) are not built.',
  },
  {
    id: 'A31',
    attack: 'HTTP: bodies, headers, smuggling',
    answer: 'Bodies of 16 KiB where there are any, headers of 16 KiB, ten seconds for a request, one length.',
    shownBy: [
      ['attack/kafka-frames.ts', 'noise, endless headers and an endless body'],
      ['security/black-box.test.ts', 'does not take a request whose length is said in two ways'],
      ['security/http-access.test.ts', 'is not made from a body that is no JSON'],
    ],
    open: '',
  },
  {
    id: 'A32',
    attack: 'Jumps of the clock',
    answer: 'A reading that cannot be right is not used; nothing is deleted by time meanwhile.',
    shownBy: [
      ['base/wall-floor.test.ts', 'of ten years ahead is not believed'],
      ['mirror/untrusted-times.test.ts', 'holds them back while the time is not known'],
      ['security/tokens/token-check.test.ts', 'tokens are refused, with the reason'],
    ],
    open: '',
  },
  {
    id: 'A33',
    attack: 'What the product is built from, and updates',
    answer:
      'Exact versions with digests, no scripts of packages, a bill of materials; a directory of a newer release is refused.',
    shownBy: [['deploy/sbom.test.ts', 'is closed: whatever something needs is in it']],
    open: 'Packages are not signed yet.',
  },
]
