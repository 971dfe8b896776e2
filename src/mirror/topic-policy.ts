/**
 * Which topics a mirror carries, and under which name they arrive. Pure.
 *
 * A topic that already carries our own prefix is not sent back (a loop A -> B -> A would grow a prefix each round); with a
 * template of the topic's name alone there is no prefix to see, and two mirrors that feed each other must not overlap.
 */
import { ApplianceError } from '../base/errors.ts'
import { auditTopicName } from '../security/audit/audit-line.ts'
import { mirrorErrors } from './mirror-errors.ts'

/** Kafka's bound on a topic name, which is a folder name (255) less partition and suffix. */
const topicNameLengthMax = 249
/** A pattern is tried on each topic name; longer ones are a mistake rather than a need. */
const patternLengthMax = 512

export type TopicVerdict =
  /** Not ours to carry: no pattern matches, or it is internal and not named. */
  | { readonly kind: 'ignored' }
  /** Matches, but carries our prefix already. */
  | { readonly kind: 'loop'; readonly reason: string }
  /** Matches, but its name at the target would be illegal. */
  | { readonly kind: 'parked'; readonly reason: string }
  | { readonly kind: 'mirrored'; readonly targetTopic: string }

export interface TopicPolicyOptions {
  /** Name of the mirror, for the errors. */
  readonly name: string
  readonly topics: readonly string[]
  readonly targetTopic: string
  readonly site: string
  readonly nodeId: number
}

/** Decides per topic name. Throws MIRROR_PATTERN_INVALID or MIRROR_TEMPLATE_INVALID when built from wrong settings. */
export class TopicPolicy {
  readonly #patterns: readonly RegExp[]
  /** Internal topics that are carried, because they are named letter for letter. */
  readonly #named: ReadonlySet<string>
  readonly #before: string
  readonly #after: string

  constructor(options: TopicPolicyOptions) {
    this.#patterns = options.topics.map((pattern) => compilePattern(options.name, pattern))
    this.#named = new Set(options.topics.filter((pattern) => pattern === auditTopicName))
    const parts = options.targetTopic
      .replaceAll('{site}', options.site)
      .replaceAll('{node}', String(options.nodeId))
      .split('{topic}')
    const [before, after] = parts
    if (parts.length !== 2 || before === undefined || after === undefined || /[{}]/.test(before + after)) {
      throw new ApplianceError(mirrorErrors.templateInvalid, { mirror: options.name, template: options.targetTopic })
    }
    this.#before = before
    this.#after = after
  }

  verdict(topic: string, isInternal: boolean): TopicVerdict {
    const isOfNode = isInternal || topic.startsWith('__')
    const isWanted = isOfNode ? this.#named.has(topic) : this.#patterns.some((pattern) => pattern.test(topic))
    if (!isWanted) return { kind: 'ignored' }
    if (this.#carriesOurName(topic)) {
      return { kind: 'loop', reason: `the name carries "${this.#before}${this.#after}" already: it came from here` }
    }
    const targetTopic = `${this.#before}${topic}${this.#after}`
    const reason = illegalTopicName(targetTopic)
    return reason === null ? { kind: 'mirrored', targetTopic } : { kind: 'parked', reason }
  }

  /** As the outermost name, or inside after a separator where another site put its own in front. */
  #carriesOurName(topic: string): boolean {
    const before = this.#before
    const after = this.#after
    if (before === '' && after === '') return false
    const starts = before === '' || topic.startsWith(before) || topic.includes(`.${before}`)
    const ends = after === '' || topic.endsWith(after) || topic.includes(`${after}.`)
    return starts && ends
  }
}

/** Why Kafka would refuse this name, or null. */
export function illegalTopicName(topic: string): string | null {
  if (topic.length === 0) return 'the target topic name is empty'
  if (topic.length > topicNameLengthMax) {
    return `the target topic name has ${topic.length} characters, ${topicNameLengthMax} are allowed: ${topic.slice(0, 60)}...`
  }
  if (topic === '.' || topic === '..') return `"${topic}" is not a topic name`
  if (topic.startsWith('__')) return `"${topic}" would be an internal topic at the target`
  const wrong = /[^a-zA-Z0-9._-]/.exec(topic)
  return wrong === null ? null : `"${wrong[0]}" is not allowed in a topic name: ${topic}`
}

function compilePattern(mirror: string, pattern: string): RegExp {
  const invalid = (why: string, cause?: unknown): ApplianceError =>
    new ApplianceError(mirrorErrors.patternInvalid, { mirror, pattern: pattern.slice(0, 80), why }, { cause })
  if (pattern.length > patternLengthMax) throw invalid(`longer than ${patternLengthMax} characters`)
  try {
    return new RegExp(`^(?:${pattern})$`)
  } catch (thrown) {
    throw invalid(thrown instanceof Error ? thrown.message : 'not a regular expression', thrown)
  }
}
