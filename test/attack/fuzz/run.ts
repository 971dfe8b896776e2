/**
 * Hostile bytes into the decoders, without a network in between.
 *
 *   run.ts kafka|mqtt|all [--seconds S | --inputs N] [--seed N]
 *
 * Nothing but a refusal may come back, and before authentication an input of n bytes may make the decoders allocate 4 n bytes and what a
 * message costs however short it is. Exit code 1 with the input in hexadecimal otherwise. Every target reads its own good messages first:
 * one that refuses everything would try nothing.
 */
import { parseArgs } from 'node:util'
import { getHeapStatistics } from 'node:v8'
import { inputBytesMax, inputsPerCopy, Mutator } from './mutator.ts'
import { type FuzzTarget, targets } from './targets.ts'

/** What one message costs however short it is: 4 KiB of a frame that is announced, the decoder, its result, a refusal. */
const messageBytesMax = 8192
const allocationFactor = 4
const repeatsMax = 5
const copiesInARow = 64
/** Copies without a judgement of memory: what has just been compiled allocates more. */
const warmUpCopies = 1024

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string' }, inputs: { type: 'string' }, seed: { type: 'string', default: '1' } },
})
// A refusal costs a hundred times its bytes in a stack trace.
Error.stackTraceLimit = 0

class Fault extends Error {}

interface Course {
  readonly target: FuzzTarget
  readonly mutator: Mutator
  inputs: number
  read: number
  bytes: number
  /** Largest share of what may be allocated that a copy's inputs took. */
  heaviest: number
}

/** All inputs that grow out of one copy of a good message. */
function tryCopy(course: Course, copy: number): void {
  const { bytes, messages, ...first } = readInputs(course, copy)
  const allowed = allocationFactor * bytes + messages * messageBytesMax
  let { grown } = first
  course.inputs += inputsPerCopy
  course.bytes += bytes
  if (!course.target.isBeforeAuthentication || copy < warmUpCopies) return
  // Compiling allocates too, and the measure ends where garbage is collected: what is the inputs' own comes every time.
  for (let again = 0; again < repeatsMax && (grown < 0 || grown > allowed); again++) {
    grown = readInputs(course, copy).grown
  }
  if (grown < 0) return
  course.heaviest = Math.max(course.heaviest, grown / allowed)
  if (grown > allowed) {
    throw new Fault(`${course.target.name}: copy ${copy}: ${grown} bytes allocated for ${bytes}`)
  }
}

function readInputs(course: Course, copy: number): { bytes: number; messages: number; grown: number } {
  const { target, mutator } = course
  mutator.restart(copy)
  let bytes = 0
  let messages = 0
  const before = allocated()
  for (let index = 0; index < inputsPerCopy; index++) {
    const input = mutator.next()
    bytes += input.length
    try {
      const found = target.read(input)
      if (found > 0) course.read++
      messages += Math.max(1, found)
    } catch (thrown) {
      throw new Fault(`${target.name}: copy ${copy}: ${String(thrown)}\n  input ${Buffer.from(input).toString('hex')}`)
    }
  }
  return { bytes, messages, grown: allocated() - before }
}

function allocated(): number {
  const facts = getHeapStatistics()
  return facts.used_heap_size + facts.external_memory
}

function expectGoodMessagesRead({ name, seeds, read }: FuzzTarget): void {
  const refused = seeds.filter((seed) => seed.length <= inputBytesMax && read(seed) === 0)
  if (refused.length > 0)
    throw new Fault(`${name}: refuses the good message ${Buffer.from(refused[0] ?? []).toString('hex')}`)
}

function main(): number {
  const [what = 'all'] = positionals
  const chosen = targets.filter(({ protocol }) => what === 'all' || protocol === what)
  if (chosen.length === 0) throw new Error('run.ts kafka|mqtt|all [--seconds S | --inputs N] [--seed N]')
  const courses = chosen.map(
    (target): Course => ({
      target,
      mutator: new Mutator(target.seeds, Number(flags.seed)),
      inputs: 0,
      read: 0,
      bytes: 0,
      heaviest: 0,
    }),
  )
  const startedAt = performance.now()
  const inputsMax = flags.inputs === undefined ? Number.POSITIVE_INFINITY : Number(flags.inputs)
  const endAt = flags.inputs === undefined ? startedAt + Number(flags.seconds ?? '3') * 1000 : Number.POSITIVE_INFINITY
  let inputs = 0
  let round = 0
  try {
    for (const { target } of courses) expectGoodMessagesRead(target)
    while (inputs < inputsMax && performance.now() < endAt) {
      for (const course of courses) {
        for (let copy = 0; copy < copiesInARow; copy++) tryCopy(course, round * copiesInARow + copy)
      }
      round++
      inputs = courses.reduce((sum, course) => sum + course.inputs, 0)
    }
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    console.log(`FAILED after ${inputs} inputs of seed ${flags.seed}\n${thrown.message}`)
    return 1
  }
  const seconds = (performance.now() - startedAt) / 1000
  for (const { target, inputs: own, read, bytes, heaviest } of courses) {
    console.log(
      `${target.name}: ${own} inputs, ${((100 * read) / own).toFixed(1)} % read, ${(bytes / own).toFixed(0)} bytes each, at most ${(100 * heaviest).toFixed(0)} % of what it may allocate`,
    )
  }
  console.log(
    `ok ${inputs} inputs, ${Math.round(inputs / seconds)} a second, ${seconds.toFixed(1)} s, seed ${flags.seed}`,
  )
  return 0
}

process.exitCode = main()
