/** What a decision about a right costs, with 10,000 access control entries and 10,000 principals: in this process, without a network. */
import {
  type AclEntry,
  aclOperation,
  aclPattern,
  aclPermission,
  aclResource,
  wildcard,
} from '../../src/security/acl.ts'
import { AclTable } from '../../src/security/acl-table.ts'
import { Authorizer } from '../../src/security/authorizer.ts'
import type { BenchCase, Figure } from '../case.ts'
import { median } from '../measure.ts'

const principals = 10_000
const microseconds = 1_000
/** A decision is shorter than what a clock can tell. */
const decisionsOfSample = 100

/** Half of the entries on one topic that all write, half on a topic of each by its prefix: what a fleet of devices has. */
function fleet(): AclTable {
  const table = new AclTable()
  for (let at = 0; at < principals; at++) {
    const isShared = at % 2 === 0
    const entry: AclEntry = {
      resourceType: aclResource.topic,
      resourceName: isShared ? 'telemetry' : `press.${at}.`,
      patternType: isShared ? aclPattern.literal : aclPattern.prefixed,
      principal: `User:press-${at}`,
      host: wildcard,
      operation: aclOperation.write,
      permissionType: aclPermission.allow,
    }
    table.add(String(at), entry)
  }
  return table
}

export const authorization: BenchCase = {
  name: 'authorization',
  missing: () => null,
  async run({ scale }) {
    const table = fleet()
    const authorizer = new Authorizer({ table, isEnabled: true, superUsers: new Set(), allowsWithoutAcl: false })
    const names = Array.from({ length: principals }, (_, at) => `User:press-${at}`)
    const topics = names.map((_, at) => (at % 2 === 0 ? 'telemetry' : `press.${at}.temperature`))
    const decide = (at: number): boolean =>
      authorizer.subject(names[at] ?? '', '10.0.0.1').allows(aclOperation.write, aclResource.topic, topics[at] ?? '')
    const pass = (): number => {
      const samples: number[] = []
      for (let at = 0; at < principals; at += decisionsOfSample) {
        const began = process.hrtime.bigint()
        let allowed = 0
        for (let next = at; next < at + decisionsOfSample; next++) if (decide(next)) allowed++
        samples.push(Number(process.hrtime.bigint() - began) / decisionsOfSample / microseconds)
        if (allowed !== decisionsOfSample) throw new Error('a device may not write its own topic')
      }
      return median(samples)
    }
    const rounds = Math.max(3, Math.round(20 * scale))
    const change: AclEntry = { ...([...table.entries().values()][0] as AclEntry), resourceName: 'another' }
    const first: number[] = []
    const again: number[] = []
    for (let round = 0; round < rounds; round++) {
      // Whatever was decided is forgotten with each change.
      table.add('change', change)
      first.push(pass())
      again.push(pass())
    }
    const figure = (what: string, values: readonly number[]): Figure => ({
      name: `authorise, 10,000 entries and 10,000 principals, ${what}`,
      unit: 'us',
      value: median(values),
      reach: { atMost: 5 },
    })
    return { figures: [figure('decided before', again), figure('after a change of the entries', first)] }
  },
}
