/** What set-up writes into the configuration file: the listeners ask for names, and the admin may do everything. Comments stay. */
import { type Document, isMap, isSeq, parseDocument } from 'yaml'
import { ApplianceError } from '../../base/errors.ts'
import { setUpMechanisms, standardAuthorizer } from '../../security/set-up.ts'
import { cliErrors } from './cli-errors.ts'

export interface SetupChange {
  readonly text: string
  /** One line each; empty = it was all there. */
  readonly changes: readonly string[]
}

const fileHead = '# Every key: docs/configuration.md, or `headwater config print`.\n'

/** The text of the file after set-up. Throws CLI_SETUP_IMPOSSIBLE when it is not one that can be changed. */
export function setUpConfiguration(text: string, admin: string): SetupChange {
  const document = parseDocument(text === '' ? fileHead : text)
  if (document.errors.length > 0 || !(document.contents === null || isMap(document.contents))) {
    const detail = document.errors[0]?.message ?? 'the file does not hold a mapping of keys'
    throw new ApplianceError(cliErrors.setupImpossible, { detail, remedy: 'Correct the file, then run it again' })
  }
  const changes = [
    ...listenerChanges(document, 'kafka', '127.0.0.1:9092', (at) => {
      document.setIn([...at, 'saslMechanisms'], document.createNode([...setUpMechanisms]))
      return `saslMechanisms: [${setUpMechanisms.join(', ')}]`
    }),
    ...listenerChanges(document, 'mqtt', '127.0.0.1:1883', (at) => {
      document.setIn([...at, 'authentication'], 'password')
      return 'authentication: password'
    }),
    ...httpChanges(document),
    ...rightsChanges(document, admin),
  ]
  return { text: changes.length === 0 ? text : document.toString({ lineWidth: 0 }), changes }
}

function listenerChanges(
  document: Document,
  protocol: 'kafka' | 'mqtt',
  usualPlace: string,
  close: (at: readonly (string | number)[]) => string,
): string[] {
  const path = ['listeners', protocol]
  const written = document.getIn(path)
  if (written === undefined || written === null) document.setIn(path, document.createNode([{ listen: usualPlace }]))
  const listeners = document.getIn(path)
  // What is no list is for the schema to refuse.
  if (!isSeq(listeners)) return []
  return listeners.items.flatMap((_, index) => {
    const at = [...path, index]
    if (asksForNames(document, at)) return []
    return [`listeners.${protocol}[${index}] (${String(document.getIn([...at, 'listen']))}): ${close(at)}`]
  })
}

/** Health stays open to everybody; a scraper without a name needs `openMetrics`, or a token. */
function httpChanges(document: Document): string[] {
  const at = ['listeners', 'http', 'authentication']
  if (document.getIn(at) === 'required' || document.getIn(['listeners', 'http', 'tls', 'clientAuth']) === 'required')
    return []
  document.setIn(at, 'required')
  return ['listeners.http: authentication: required']
}

function asksForNames(document: Document, at: readonly (string | number)[]): boolean {
  const mechanismsAt = document.getIn([...at, 'saslMechanisms'])
  return (
    (isSeq(mechanismsAt) && mechanismsAt.items.length > 0) ||
    ['password', 'token'].includes(String(document.getIn([...at, 'authentication']))) ||
    document.getIn([...at, 'tls', 'clientAuth']) === 'required'
  )
}

function rightsChanges(document: Document, admin: string): string[] {
  const changes: string[] = []
  const authorizerAt = ['kafka', 'authorizer.class.name']
  if ((document.getIn(authorizerAt) ?? '') === '') {
    document.setIn(authorizerAt, standardAuthorizer)
    changes.push(`kafka.authorizer.class.name: ${standardAuthorizer}`)
  }
  const superAt = ['kafka', 'super.users']
  const before = document.getIn(superAt)
  const users = typeof before === 'string' ? before.split(';').map((user) => user.trim()) : []
  if (users.includes(`User:${admin}`)) return changes
  const after = [...users.filter((user) => user !== ''), `User:${admin}`].join(';')
  document.setIn(superAt, after)
  return [...changes, `kafka.super.users: ${after}`]
}
