/** Our authorizer beside Apache Kafka's own, over random sets of entries. */
import { strict as assert } from 'node:assert'
import { fileURLToPath } from 'node:url'
import { type AclEntry, aclOperation, aclPattern, aclPermission, aclResource } from '../../../src/security/acl.ts'
import { AclTable } from '../../../src/security/acl-table.ts'
import { Authorizer, parseSuperUsers } from '../../../src/security/authorizer.ts'
import { Prng } from '../../sim/prng.ts'
import { apacheKafkaLibs, apacheKafkaMissing } from '../apache-kafka.ts'
import { type InteropCase, lines, output } from '../case.ts'
import { hasPrograms } from '../foreign.ts'

const program = fileURLToPath(new URL('../programs/JudgeAcls.java', import.meta.url))
const requestsOfSet = 50
/** Sets that one program judges. */
const setsOfRun = 2_000
/** `run.ts --acl-pairs=1000000` tries as many pairs of entries and requests; without it 100,000. */
const pairs = Number(
  process.argv.find((word) => word.startsWith('--acl-pairs='))?.split('=')[1] ?? setsOfRun * requestsOfSet,
)
/** Prefixes of each other, cases, forms of one letter, and what is special elsewhere. */
const names = [
  'a',
  'ab',
  'abc',
  'b',
  'ba',
  'c',
  '*',
  'kafka-cluster',
  'A',
  'a.b',
  'a/b',
  '..',
  'a*',
  '\u00e4',
  'a\u0308',
  'User:*',
]
const hosts = ['10.0.0.1', '10.0.0.2']
const users = ['User:alice', 'User:Alice', 'User:bob', 'User:root']
const types = [aclResource.topic, aclResource.group, aclResource.cluster]
const operations = Object.values(aclOperation).filter((code) => code >= aclOperation.read)

export const authorizerOfKafka: InteropCase = {
  name: "random users and access control entries are judged as Kafka's StandardAuthorizer judges them",
  missing: () => apacheKafkaMissing() ?? hasPrograms('javac'),
  async run() {
    for (let run = 0; run * setsOfRun * requestsOfSet < pairs; run++) await compare(290 + run)
  },
}

async function compare(seed: number): Promise<void> {
  const prng = new Prng(seed, 'acls')
  const pick = <T>(all: readonly T[]): T => all[prng.below(all.length)] as T
  const questions: string[] = []
  const ours: boolean[] = []
  const asked: string[] = []
  for (let set = 0; set < setsOfRun; set++) {
    const isOpen = prng.below(4) === 0
    questions.push(['set', isOpen, 'User:root'].join('\t'))
    const table = new AclTable()
    const known = new Set<string>()
    for (let at = prng.below(10); at > 0; at--) {
      const entry: AclEntry = {
        resourceType: pick(types),
        resourceName: pick(names),
        patternType: pick([aclPattern.literal, aclPattern.prefixed]),
        principal: pick([...users, 'User:*']),
        host: pick([...hosts, '*']),
        operation: pick([aclOperation.all, ...operations]),
        permissionType: pick([aclPermission.allow, aclPermission.allow, aclPermission.deny]),
      }
      const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = entry
      const words = [resourceType, resourceName, patternType, principal, host, operation, permissionType]
      const question = ['acl', ...words].join('\t')
      // Kafka knows an entry once.
      if (known.has(question)) continue
      known.add(question)
      table.add(String(at), entry)
      questions.push(question)
    }
    const superUsers = parseSuperUsers('User:root')
    assert.ok(typeof superUsers !== 'string')
    const authorizer = new Authorizer({ table, isEnabled: true, superUsers, allowsWithoutAcl: isOpen })
    for (let at = 0; at < requestsOfSet; at++) {
      const [who, host, operation, type, name] = [pick(users), pick(hosts), pick(operations), pick(types), pick(names)]
      const subject = authorizer.subject(who, host)
      const isSome = prng.below(5) === 0
      const question = [isSome ? 'some' : 'ask', who, host, operation, type, ...(isSome ? [] : [name])].join('\t')
      questions.push(question)
      asked.push(`set ${set}: ${question}`)
      ours.push(isSome ? subject.allowsSome(operation, type) : subject.allows(operation, type, name))
    }
  }
  const stdin = `${questions.join('\n')}\n`
  const theirs = lines(await output('java', ['-cp', `${apacheKafkaLibs()}/*`, program], { stdin, timeoutMs: 120_000 }))
  assert.equal(theirs.length, ours.length)
  const differences = asked.filter((_, at) => (theirs[at] === '1') !== ours[at])
  assert.deepEqual(differences.slice(0, 10), [])
}
