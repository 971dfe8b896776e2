/** The cache of births in front of their certificates. */
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { describe, expect, it } from 'vitest'
import { KnownBirths } from '../../../src/ingest/mqtt/known-births.ts'
import { RetainedStore } from '../../../src/ingest/mqtt/retained-store.ts'
import { sparkplugCodec } from '../../../src/protocol/sparkplug/payload-codec.ts'
import { finished, namesOf } from '../../protocol/sparkplug/foreign-payloads.ts'

function birth(name: string): Uint8Array {
  return new BinaryWriter().tag(2, 2).fork().tag(1, 2).string(name).tag(2, 0).uint64(1n).join().finish()
}

/** A store of certificates, and births with room for about so many of them. */
function open(count: number) {
  const store = new RetainedStore()
  const births = new KnownBirths(sparkplugCodec, store, count * 1100)
  const certify = (topic: string, name: string): void =>
    store.set(topic, { topic: Buffer.from(topic), payload: birth(name), headers: new Uint8Array(1), expiresMs: null })
  const nameOf = (topic: string): string | undefined => finished(births.find(topic))?.byAlias.get(1)?.nameJson
  return { births, store, certify, nameOf }
}

/** A commit that is decided by hand. */
function saving() {
  let decide: (isDurable: boolean) => void = () => {}
  return {
    whenSettled: (callback: (isDurable: boolean) => void) => {
      decide = callback
    },
    settle: (isDurable: boolean) => decide(isDurable),
  }
}

const place = (index: number): string => `$sparkplug/certificates/spBv1.0/g/NBIRTH/e${index}`

describe('births', () => {
  it('are read from their certificates when they are asked for, and hold no more memory than they may', () => {
    const { births, certify, nameOf } = open(4)
    for (let index = 0; index < 20; index += 1) certify(place(index), `m${index}`)
    const names = Array.from({ length: 20 }, (_each, index) => nameOf(place(index)))
    expect(names).toEqual(Array.from({ length: 20 }, (_each, index) => `"m${index}"`))
    expect(births.size).toBeLessThanOrEqual(4)
    expect(births.unreadBytes(place(19))).toBe(0)
    expect(births.unreadBytes(place(0))).toBeGreaterThan(0)
    expect(nameOf(place(0))).toBe('"m0"')
    expect(nameOf('$sparkplug/certificates/spBv1.0/g/NBIRTH/nobody')).toBeUndefined()
  })

  it('count before they are durable, and are kept at hand until they are', () => {
    const { births, certify, nameOf } = open(3)
    const commit = saving()
    certify(place(0), 'old')
    births.keep(place(0), namesOf(birth('new')), commit)
    for (let index = 1; index < 20; index += 1) {
      certify(place(index), `m${index}`)
      nameOf(place(index))
    }
    expect(nameOf(place(0))).toBe('"new"')
    certify(place(0), 'new')
    commit.settle(true)
    for (let index = 1; index < 20; index += 1) nameOf(place(index))
    expect(births.unreadBytes(place(0))).toBeGreaterThan(0)
  })

  it('that the log has refused count no more: the one before does', () => {
    const { births, certify, nameOf } = open(3)
    const commit = saving()
    certify(place(0), 'old')
    births.keep(place(0), namesOf(birth('new')), commit)
    commit.settle(false)
    expect(nameOf(place(0))).toBe('"old"')
    // Not so when a newer one has come meanwhile.
    const first = saving()
    births.keep(place(0), namesOf(birth('second')), first)
    births.keep(place(0), namesOf(birth('third')), saving())
    first.settle(false)
    expect(nameOf(place(0))).toBe('"third"')
  })
})
