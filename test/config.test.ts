/** Written configurations in, judged configurations or sentences out. */
import { describe, expect, it } from 'vitest'
import type { ConfigurationFlags, ConfigurationSource } from '../src/admin/cli/configuration-source.ts'
import { ApplianceError } from '../src/base/errors.ts'
import { inspectConfiguration, readConfiguration } from '../src/config-reader.ts'
import { formatAddress, parseAddress, parseBytes, parseDurationMs } from '../src/config-values.ts'

function source(
  text: string | null,
  flags: ConfigurationFlags = {},
  environment: Readonly<Record<string, string>> = {},
): ConfigurationSource {
  return { file: text === null ? null : { name: 'headwater.yaml', text }, flags, environment }
}

async function problemsOf(given: ConfigurationSource): Promise<readonly string[]> {
  const report = await inspectConfiguration(given)
  return report.kind === 'invalid' ? report.problems : []
}

const example = String.raw`
dataDir: ./data
node: { id: 1, site: plant-7 }
listeners:
  kafka: [ { listen: "127.0.0.1:9092", advertise: "edge7.local:9092" } ]   # advertise is optional
  mqtt:  [ { listen: "127.0.0.1:1883" } ]
  http:  { listen: "127.0.0.1:9640" }
kafka: { num.partitions: 4, auto.create.topics.enable: true, group.initial.rebalance.delay.ms: 3000 }
mirrors:
  - name: central
    bootstrapServers: [ "10.0.0.5:9092" ]
    topics: [ "sensors", "plc\\..*" ]        # anchored regular expressions
    targetTopic: "{site}.{topic}"
`

describe('a configuration', () => {
  it('is read in the shape that is promised', async () => {
    const config = await readConfiguration(source(example))
    expect(config).toMatchObject({
      dataDir: './data',
      node: { id: 1, site: 'plant-7' },
      listeners: {
        kafka: [{ listen: { host: '127.0.0.1', port: 9092 }, advertise: { host: 'edge7.local', port: 9092 } }],
        mqtt: [{ listen: { host: '127.0.0.1', port: 1883 } }],
        http: { listen: { host: '127.0.0.1', port: 9640 } },
      },
      mirrors: [
        {
          name: 'central',
          bootstrapServers: [{ host: '10.0.0.5', port: 9092 }],
          topics: ['sensors', String.raw`plc\..*`],
        },
      ],
    })
    expect([...config.kafka]).toEqual([
      ['num.partitions', '4'],
      ['auto.create.topics.enable', 'true'],
      ['group.initial.rebalance.delay.ms', '3000'],
    ])
  })

  it('may be empty, or absent: every key has a default, and nothing listens beyond the loopback', async () => {
    for (const text of [null, '', '# nothing\n', '{}']) {
      const config = await readConfiguration(source(text))
      const places = [...config.listeners.kafka, ...config.listeners.mqtt, config.listeners.http].map(({ listen }) =>
        formatAddress(listen),
      )
      expect(places).toEqual(['127.0.0.1:9092', '127.0.0.1:1883', '127.0.0.1:9640'])
      expect(config.listeners.kafka[0]?.advertise).toBeNull()
    }
  })

  it.each([
    ['kafka: [ { listen: "0.0.0.0:9092" } ]', /kafka\[0\]\.listen: .*plain text.*lets anybody in.*dangerouslyAllow/],
    ['kafka: [ { listen: "127.0.0.1:1" }, { listen: "edge:9092" } ]', /kafka\[1\]\.listen: .*plain text/],
    ['kafka: [ { listen: "[::]:9092", saslMechanisms: [PLAIN] } ]', /it carries plain text \(add tls\);/],
    ['kafka: [ { listen: "10.0.0.1:9092", tls: { certificate: c, key: k } } ]', /and it lets anybody in \(add sasl/],
    ['mqtt: [ { listen: "0.0.0.0:1883", authentication: password } ]', /mqtt\[0\]\.listen: .*plain text \(add tls\);/],
    ['http: { listen: "0.0.0.0:9640", tls: { certificate: c, key: k } }', /http\.listen: .*lets anybody in/],
    ['http: { listen: "0.0.0.0:9640", authentication: required }', /http\.listen: .*plain text \(add tls\)/],
  ])('does not let other hosts at what is unprotected: %s', async (written, reason) => {
    expect(await problemsOf(source(`listeners: { ${written} }`))).toEqual([expect.stringMatching(reason)])
    expect(await problemsOf(source(`listeners: { ${written}, dangerouslyAllowUnprotected: true }`))).toEqual([])
  })

  it.each([
    'kafka: [ { listen: "0.0.0.0:9092", tls: { certificate: c, key: k }, saslMechanisms: [SCRAM-SHA-256] } ]',
    'mqtt: [ { listen: "0.0.0.0:1", tls: { certificate: c, key: k, clientCa: a, clientAuth: required } } ]',
    'kafka: [ { listen: "127.0.0.7:1" }, { listen: "localhost:2" }, { listen: "[::1]:3" } ]',
  ])('lets them at what is protected, and this machine at everything: %s', async (written) => {
    expect(await problemsOf(source(`listeners: { ${written} }`))).toEqual([])
  })

  it.each([
    ['listeners: { http: { hosts: ["https://edge"] } }', /http\.hosts\[0\]: a host name is made of small letters/],
    ['listeners: { http: { authentication: sometimes } }', /http\.authentication/],
    ['audit: { keep: perhaps }', /audit\.keep/],
    ['audit: { fileSize: 1KiB }', /audit\.fileSize/],
    ['audit: { filesMax: 1 }', /audit\.filesMax/],
    ['audit: { fileSiz: 1MiB }', /audit\.fileSiz: there is no such key; did you mean audit\.fileSize/],
  ])('refuses what is none of its values: %s', async (written, reason) => {
    expect(await problemsOf(source(written))).toEqual([expect.stringMatching(reason)])
  })

  it('takes a certificate for each listener, and refuses one that is half said', async () => {
    const tls = '{ certificate: c.pem, key: k.pem, clientCa: ca.pem, clientAuth: required }'
    const config = await readConfiguration(source(`listeners: { kafka: [ { listen: "[::1]:9093", tls: ${tls} } ] }`))
    expect(config.listeners.kafka[0]?.tls).toEqual({
      certificate: 'c.pem',
      moreCertificates: [],
      key: 'k.pem',
      clientCa: 'ca.pem',
      clientCrl: null,
      clientAuth: 'required',
    })
    expect(config.listeners.http.tls).toBeNull()
    const environment = {
      HEADWATER_LISTENERS_HTTP_TLS_CERTIFICATE: 'c.pem',
      HEADWATER_LISTENERS_HTTP_TLS_KEY: 'k.pem',
    }
    expect((await readConfiguration(source(null, {}, environment))).listeners.http.tls?.clientAuth).toBe('none')
    const refused = async (written: string): Promise<string> =>
      readConfiguration(source(`listeners: { http: { tls: ${written} } }`)).then(
        () => 'taken',
        (thrown: unknown) => String(thrown),
      )
    expect(await refused('{ certificate: c.pem }')).toMatch(/listeners\.http\.tls\.key: this key is required/)
    expect(await refused('{ certificate: c, key: k, clientAuth: required }')).toMatch(/needs a clientCa/)
    expect(await refused('{ certificate: c, key: k, clientCa: a }')).toMatch(/judges nothing/)
    expect(await refused('{ certificate: c, key: k, clientCrl: r }')).toMatch(/mean nothing without the clientCa/)
    expect(await refused('{ certificate: c, keys: k }')).toMatch(/did you mean listeners\.http\.tls\.key/)
  })

  it('yields to variables, and these to flags', async () => {
    const environment = {
      HEADWATER_NODE_SITE: 'plant-8',
      HEADWATER_NODE_ID: '7',
      HEADWATER_LISTENERS_KAFKA: '[{"listen":"0.0.0.0:9093"},{"listen":"[::1]:9094"}]',
      HEADWATER_LISTENERS_DANGEROUSLY_ALLOW_UNPROTECTED: 'true',
      HEADWATER_DATA_DIR: 'from-variable',
      HEADWATER_KAFKA_NUM_PARTITIONS: '9',
      PATH: '/bin',
    }
    const config = await readConfiguration(source(example, { dataDir: 'from-flag', http: '127.0.0.1:0' }, environment))
    expect(config.node).toEqual({ id: 7, site: 'plant-8' })
    expect(config.listeners.kafka.map(({ listen }) => formatAddress(listen))).toEqual(['0.0.0.0:9093', '[::1]:9094'])
    expect(config.dataDir).toBe('from-flag')
    expect(config.kafka.get('num.partitions')).toBe('9')
    expect(config.listeners.http.listen.port).toBe(0)
    expect(config.listeners.mqtt[0]?.listen).toEqual({ host: '127.0.0.1', port: 1883 })
  })

  it('has any number of MQTT listeners, each with its own transport and limits', async () => {
    const written = `
listeners:
  mqtt:
    - listen: unix:/run/headwater/mqtt.sock
      mode: "0600"
    - listen: unix:/run/headwater/other.sock
    - listen: 127.0.0.1:8083
      authentication: password
      webSocket: {}
      proxyProtocol: required
      proxyProtocolFrom: [127.0.0.1, "2001:db8::/32"]
      connectionsMax: 5
      packetMax: 4KiB
`
    const { mqtt } = (await readConfiguration(source(written))).listeners
    expect(mqtt.map(({ listen }) => listen)).toEqual([
      { path: '/run/headwater/mqtt.sock', mode: 0o600 },
      { path: '/run/headwater/other.sock', mode: 0o660 },
      { host: '127.0.0.1', port: 8083 },
    ])
    expect(mqtt[2]).toMatchObject({
      webSocket: { path: '/mqtt', allowedOrigins: [] },
      proxyProtocolFrom: ['127.0.0.1', '2001:db8::/32'],
      connectionsMax: 5,
      connectionsPerAddressMax: null,
      packetMax: 4096,
    })
  })

  it('tells where each value comes from', async () => {
    const report = await inspectConfiguration(
      source('node: { site: a }', { logLevel: 'debug' }, { HEADWATER_NODE_ID: '7' }),
    )
    const origins =
      report.kind === 'valid' ? new Map(report.entries.map(({ key, origin }) => [key, origin])) : new Map()
    expect(['node.site', 'node.id', 'log.level', 'dataDir'].map((key) => origins.get(key))).toEqual([
      'file',
      'environment',
      'flag',
      'default',
    ])
  })

  it('is refused as a declared error with every fault in it', async () => {
    const refused = readConfiguration(source('nodes: {}\ndataDir: 5'))
    await expect(refused).rejects.toThrow(ApplianceError)
    await expect(refused).rejects.toThrow(/dataDir.*\n.*nodes/s)
  })
})

describe('a wrong configuration', () => {
  it.each([
    ['dataDirr: x', 'headwater.yaml:1: dataDirr: there is no such key; did you mean dataDir?'],
    ['node:\n  id: 1\n  sites: x', 'headwater.yaml:3: node.sites: there is no such key; did you mean node.site?'],
    [
      'listeners:\n  kafka:\n    - listen: "localhost:1"\n      advertize: "b:2"',
      'headwater.yaml:4: listeners.kafka[0].advertize: there is no such key; did you mean listeners.kafka[0].advertise?',
    ],
    [
      'listeners: { mqtt: [ { listen: nowhere } ] }',
      'headwater.yaml:1: listeners.mqtt[0].listen: "nowhere" is not an address such as 127.0.0.1:9092 or [::1]:9092',
    ],
    [
      'listeners: { mqtt: [ { listen: "unix:door.sock" } ] }',
      'headwater.yaml:1: listeners.mqtt[0].listen: "unix:door.sock" is not a Unix socket such as unix:/run/headwater/mqtt.sock',
    ],
    [
      'listeners: { mqtt: [ { listen: "localhost:1", mode: "0600" } ] }',
      'headwater.yaml:1: listeners.mqtt[0].mode: only the file of a Unix socket has permissions',
    ],
    [
      'listeners: { mqtt: [ { listen: "unix:/a.sock", mode: "0990" } ] }',
      'headwater.yaml:1: listeners.mqtt[0].mode: permissions are three octal digits in quotes, such as "0660"',
    ],
    [
      'listeners: { mqtt: [ { listen: "localhost:1", authentication: password, proxyProtocol: required } ] }',
      'headwater.yaml:1: listeners.mqtt[0].proxyProtocolFrom: must name the proxies whose headers are believed',
    ],
    [
      'listeners: { kafka: [ { listen: "localhost:1", proxyProtocolFrom: [10.0.0.1] } ] }',
      'headwater.yaml:1: listeners.kafka[0].proxyProtocolFrom: means nothing while proxyProtocol is off',
    ],
    [
      'listeners: { kafka: [ { listen: "localhost:1", saslMechanisms: [PLAIN], proxyProtocol: required, proxyProtocolFrom: [10.0.0.0/33] } ] }',
      'headwater.yaml:1: listeners.kafka[0].proxyProtocolFrom[0]: "10.0.0.0/33" is neither an address nor a network such as 10.0.0.0/8',
    ],
    [
      'listeners: { mqtt: [ { listen: "localhost:1", webSocket: { path: mqtt } } ] }',
      'headwater.yaml:1: listeners.mqtt[0].webSocket.path: a path begins with / and holds no spaces, ? or #',
    ],
    ['listeners: { kafka: [] }', 'headwater.yaml:1: listeners.kafka: must name one at least'],
    ['mirrors:\n  - name: a\n    topics: [x]', 'headwater.yaml:2: mirrors[0].bootstrapServers: this key is required'],
    ['node: { id: -1 }', 'headwater.yaml:1: node.id: is below the least value, 0'],
    [
      'node: { site: "a b" }',
      'headwater.yaml:1: node.site: a site name is made of letters, digits, dot, underscore and hyphen (1 to 100)',
    ],
    [
      'kafka:\n  num.partitions: 2\n  num.partition: 4',
      'headwater.yaml:3: kafka.num.partition: there is no such setting here; did you mean num.partitions?',
    ],
    [
      'kafka: { num.partitions: 0 }',
      'headwater.yaml:1: kafka.num.partitions: Invalid value 0 for configuration num.partitions',
    ],
    ['log: { level: loud }', 'headwater.yaml:1: log.level: one of debug, info, warn, error, fatal, silent is wanted'],
    ['- a\n- b', 'headwater.yaml: the file must hold a mapping of keys'],
    ['just words', 'headwater.yaml: the file must hold a mapping of keys'],
    ['a: [', 'headwater.yaml:1: Flow sequence in block collection'],
    ['dataDir: a\ndataDir: b', 'headwater.yaml:2: keys must be unique: dataDir stands here once more'],
  ])('%j is refused with place and hint', async (text, problem) => {
    expect(await problemsOf(source(text))).toEqual([expect.stringContaining(problem)])
  })

  it('names the variable or the command line where the fault is there', async () => {
    expect(await problemsOf(source('', { kafka: 'x' }))).toEqual([
      expect.stringMatching(/^command line: listeners\.kafka\[0\]\.listen/),
    ])
    expect(await problemsOf(source('', {}, { HEADWATER_NODE_IDD: '1' }))).toEqual([
      'HEADWATER_NODE_IDD: there is no such variable; did you mean HEADWATER_NODE_ID?',
    ])
    expect(await problemsOf(source('', {}, { HEADWATER_MIRRORS: '[{' }))).toEqual([
      expect.stringContaining('a list is written as JSON'),
    ])
    expect(await problemsOf(source('', {}, { HEADWATER_LOG_LEVEL: 'loud' }))).toEqual([
      expect.stringMatching(/^HEADWATER_LOG_LEVEL: log\.level/),
    ])
  })

  it('cannot reach into the prototype of anything', async () => {
    expect(await problemsOf(source('__proto__: { dataDir: x }'))).toHaveLength(1)
    const config = await readConfiguration(source('{}'))
    expect(config.dataDir).toBe('./data')
  })

  it('does not unfold a bomb of aliases', async () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) =>
        `a${level}: &a${level} [${
          level === 0
            ? 'x'
            : Array(12)
                .fill(`*a${level - 1}`)
                .join(', ')
        }]`,
    )
    await expect(inspectConfiguration(source(levels.join('\n')))).resolves.toMatchObject({ kind: 'invalid' })
  })
})

describe('written values', () => {
  it.each([
    ['10MiB', 10_485_760],
    ['1.5 KiB', 1536],
    ['2GB', 2e9],
    ['0', 0],
    [0, 0],
    [5, '5 has no unit; write a size such as 512KiB, 10MiB or 2GiB'],
    ['10', '"10" is not a size such as 512KiB, 10MiB or 2GiB'],
    ['10mib', '"10mib" is not a size such as 512KiB, 10MiB or 2GiB'],
    ['-1MiB', '"-1MiB" is not a size such as 512KiB, 10MiB or 2GiB'],
    ['9999999TiB', '"9999999TiB" is too large'],
  ])('size %j', (written, value) => expect(parseBytes(written)).toBe(value))

  it.each([
    ['500ms', 500],
    ['7d', 604_800_000],
    ['1.5h', 5_400_000],
    ['2min', 120_000],
    [30, '30 has no unit; write a duration such as 500ms, 30s, 15m, 12h or 7d'],
    ['1w', '"1w" is not a duration such as 500ms, 30s, 15m, 12h or 7d'],
  ])('duration %j', (written, value) => expect(parseDurationMs(written)).toBe(value))

  it.each(['127.0.0.1:9092', '[::1]:1883', 'edge7.local:0', '[fe80::1%eth0]:1'])(
    'address %s goes in and out',
    (written) => {
      const address = parseAddress(written)
      expect(typeof address === 'string' ? address : formatAddress(address)).toBe(written)
    },
  )

  it.each(['', 'host', 'host:', ':1', '::1:5', 'h:65536', 'h:-1', 'h:1:2', '[h]:', 'a b:1'])(
    'address %j is refused',
    (written) => {
      expect(parseAddress(written)).toContain('is not an address')
    },
  )
})

describe('a credential of the service manager', () => {
  const secured = `listeners:
  mqtt:
    - listen: "127.0.0.1:8883"
      tls: { certificate: /etc/headwater/edge.pem, key: "credential:edge.key" }
`

  it('is the file of its name in the directory that was handed over', async () => {
    const config = await readConfiguration(
      source(secured, {}, { CREDENTIALS_DIRECTORY: '/run/credentials/headwater.service' }),
    )
    expect(config.listeners.mqtt[0]?.tls).toMatchObject({
      certificate: '/etc/headwater/edge.pem',
      key: '/run/credentials/headwater.service/edge.key',
    })
  })

  it('is refused where none were handed over, with the line that does it', async () => {
    expect(await problemsOf(source(secured))).toEqual([
      expect.stringMatching(/^headwater\.yaml:4: listeners\.mqtt\[0\]\.tls\.key: .*LoadCredential=edge\.key:/),
    ])
  })

  it.each(['', '../shadow', 'a/b', '.', 'a\\0b'])('is not found by a name that is a path: "%s"', async (name) => {
    const written = secured.replace('edge.key', name)
    const problems = await problemsOf(source(written, {}, { CREDENTIALS_DIRECTORY: '/run/credentials/x' }))
    expect(problems).toEqual([expect.stringContaining('is no name of a credential')])
  })

  it('is looked for also where the text stands inside of itself', async () => {
    const round = 'node: &all { site: a, more: *all }\n'
    await expect(problemsOf(source(round))).resolves.not.toEqual([])
  })
})
