/**
 * Who may do what, as Kafka's StandardAuthorizer decides it: a superuser may do everything; a DENY that fits wins; else an ALLOW that
 * fits, or implies it; a resource without any entry is closed unless `allow.everyone.if.no.acl.found` says otherwise.
 *
 * Each principal at an address has a subject, which remembers what was decided: a request costs one look-up. Every change of the
 * entries makes it forget.
 */
import type { Audit } from '../base/audit-def.ts'
import { type AclEntry, aclOperation, aclPattern, aclPermission, everybody, wildcard } from './acl.ts'
import { operationName, resourceText } from './acl-text.ts'
import type { AclTable } from './acl-table.ts'
import { auditTypes } from './audit/audit-types.ts'

export interface AuthorizerOptions {
  readonly table: AclTable
  /** False: everybody may do everything. */
  readonly isEnabled: boolean
  /** `User:name`. */
  readonly superUsers: ReadonlySet<string>
  /** allow.everyone.if.no.acl.found */
  readonly allowsWithoutAcl: boolean
  /** Told of refusals. */
  readonly audit?: Audit
}

/** Subjects that are remembered: one for each principal at an address. */
const subjectsMax = 10_000
/** Decisions that one subject remembers. */
const decisionsMax = 1_000
/** Of all subjects: some 20 MB. Who comes from many addresses, or many who ask for much, must not take more. */
const decisionsOfAllMax = 100_000
/** Longer names are decided each time: a group's may have 32,767 characters. */
const rememberedNameLengthMax = 255
/** A name that nobody has: asked for to find out whether some entry covers every name. */
const anyName = 'hardcode'

/** A principal at an address. */
export class Subject {
  /** True: nothing is ever refused. */
  readonly isUnlimited: boolean
  readonly principal: string
  readonly host: string
  readonly #authorizer: Authorizer
  #decisions = new Map<string, boolean>()
  #generation = -1

  constructor(authorizer: Authorizer, principal: string, host: string) {
    this.#authorizer = authorizer
    this.principal = principal
    this.host = host
    this.isUnlimited = authorizer.isUnlimited(principal)
  }

  allows(operation: number, resourceType: number, name: string): boolean {
    if (this.isUnlimited) return true
    if (name.length > rememberedNameLengthMax) return this.#authorizer.decide(this, operation, resourceType, name)
    const key = `${operation}:${resourceType}:${name}`
    const known = this.#current().get(key)
    return known ?? this.#remember(key, this.#authorizer.decide(this, operation, resourceType, name))
  }

  /** The same, asked in earnest: a client is told of a refusal, and the audit too. */
  demands(operation: number, resourceType: number, name: string): boolean {
    if (this.allows(operation, resourceType, name)) return true
    this.#authorizer.denied(this, operation, resourceType, name)
    return false
  }

  /** Is there any resource of the kind with which this may be done? */
  allowsSome(operation: number, resourceType: number): boolean {
    if (this.isUnlimited) return true
    const key = `${operation}:${resourceType}`
    const known = this.#current().get(key)
    return known ?? this.#remember(key, this.#authorizer.decideSome(this, operation, resourceType))
  }

  /** What was decided under the entries as they are. */
  #current(): Map<string, boolean> {
    const { generation } = this.#authorizer
    if (generation !== this.#generation || this.#decisions.size >= decisionsMax) {
      this.forget()
      this.#generation = generation
    }
    return this.#decisions
  }

  #remember(key: string, decision: boolean): boolean {
    this.#decisions.set(key, decision)
    this.#authorizer.remembered(1)
    return decision
  }

  forget(): void {
    this.#authorizer.remembered(-this.#decisions.size)
    this.#decisions = new Map()
  }
}

export class Authorizer {
  #options: AuthorizerOptions
  readonly #subjects = new Map<string, Subject>()
  #decisionsRemembered = 0
  /** With so many everybody forgets. */
  #forgetsAt = decisionsOfAllMax

  constructor(options: AuthorizerOptions) {
    this.#options = options
  }

  get isEnabled(): boolean {
    return this.#options.isEnabled
  }

  get generation(): number {
    return this.#options.table.generation
  }

  /** Decides from now on, where everybody could do everything before. Subjects of before know nothing of it: ask for new ones. */
  enable(superUsers: ReadonlySet<string>): void {
    this.#options = { ...this.#options, isEnabled: true, superUsers }
    this.#subjects.clear()
  }

  /** What all subjects remember. */
  get decisionsRemembered(): number {
    return this.#decisionsRemembered
  }

  /** A subject remembers so many decisions more. */
  remembered(change: number): void {
    this.#decisionsRemembered += change
    if (change <= 0 || this.#decisionsRemembered < this.#forgetsAt) return
    for (const subject of this.#subjects.values()) subject.forget()
    // What is left is of those who had to make room and are still connected.
    this.#forgetsAt = this.#decisionsRemembered + decisionsOfAllMax
  }

  isUnlimited(principal: string): boolean {
    return !this.#options.isEnabled || this.#options.superUsers.has(principal)
  }

  subject(principal: string, host: string): Subject {
    const key = `${host} ${principal}`
    let subject = this.#subjects.get(key)
    if (subject === undefined) {
      // The oldest make room: who comes again gets a new one.
      for (const oldest of this.#subjects.keys()) {
        if (this.#subjects.size < subjectsMax) break
        this.#subjects.get(oldest)?.forget()
        this.#subjects.delete(oldest)
      }
      subject = new Subject(this, principal, host)
      this.#subjects.set(key, subject)
    }
    return subject
  }

  decide(subject: Subject, operation: number, resourceType: number, name: string): boolean {
    let isDenied = false
    let isAllowed = false
    const { principal } = subject
    const hasEntry = this.#options.table.visit({ resourceType, name, principal }, (entry) => {
      if (!concerns(entry, subject)) return
      if (entry.permissionType === aclPermission.deny) isDenied ||= covers(entry.operation, operation)
      else isAllowed ||= implies(entry.operation, operation)
    })
    if (isDenied) return false
    return isAllowed || (!hasEntry && this.#options.allowsWithoutAcl)
  }

  /** A client is refused. */
  denied(
    { principal, host }: Pick<Subject, 'principal' | 'host'>,
    operation: number,
    resourceType: number,
    name: string,
  ): void {
    this.#options.audit?.recordRepeated(auditTypes.denied, resourceText(resourceType, name), {
      principal,
      client: host,
      operation: operationName(operation),
    })
  }

  decideSome(subject: Subject, operation: number, resourceType: number): boolean {
    if (this.decide(subject, operation, resourceType, anyName)) return true
    const { table } = this.#options
    const own = table.ofPrincipal(subject.principal)
    const fitting = (subject.principal === everybody ? own : [...own, ...table.ofPrincipal(everybody)]).filter(
      (entry) => entry.resourceType === resourceType && concerns(entry, subject) && covers(entry.operation, operation),
    )
    const denials = fitting.filter(({ permissionType }) => permissionType === aclPermission.deny)
    if (
      denials.some(({ patternType, resourceName }) => patternType === aclPattern.literal && resourceName === wildcard)
    )
      return false
    return fitting.some((entry) => entry.permissionType === aclPermission.allow && !isOverruled(entry, denials))
  }
}

/** Is everything that the entry allows denied by a longer or equal word? */
function isOverruled(allowed: AclEntry, denials: readonly AclEntry[]): boolean {
  const isLiteral = allowed.patternType === aclPattern.literal
  // Every name: no prefix covers it.
  if (isLiteral && allowed.resourceName === wildcard) return false
  return denials.some(({ patternType, resourceName }) =>
    patternType === aclPattern.prefixed
      ? allowed.resourceName.startsWith(resourceName)
      : isLiteral && allowed.resourceName === resourceName,
  )
}

function concerns({ principal, host }: AclEntry, subject: Subject): boolean {
  return (principal === subject.principal || principal === everybody) && (host === subject.host || host === wildcard)
}

function covers(entryOperation: number, operation: number): boolean {
  return entryOperation === operation || entryOperation === aclOperation.all
}

const impliesDescribe: ReadonlySet<number> = new Set([
  aclOperation.read,
  aclOperation.write,
  aclOperation.delete,
  aclOperation.alter,
])

/** Who may read, write, delete or alter something may also see it; who may alter settings may also see these. */
function implies(entryOperation: number, operation: number): boolean {
  if (covers(entryOperation, operation)) return true
  if (operation === aclOperation.describe) return impliesDescribe.has(entryOperation)
  return operation === aclOperation.describeConfigs && entryOperation === aclOperation.alterConfigs
}

/** `User:a;User:b` of `super.users`, or a sentence that says what is wrong. */
export function parseSuperUsers(text: string): ReadonlySet<string> | string {
  const users = text
    .split(';')
    .map((user) => user.trim())
    .filter((user) => user !== '')
  const wrong = users.find((user) => !/^User:./.test(user))
  return wrong === undefined ? new Set(users) : `"${wrong}" is not User:NAME; several are separated by semicolons`
}
