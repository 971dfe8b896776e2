/** All mirrors of this node: starts and stops them together and hands each its anchors. */
import { asError } from '../base/errors.ts'
import type { Observer, Ports } from '../base/ports.ts'
import { anchorKeyText, type MirrorAnchor } from './anchor.ts'
import { BrokerSource, type MirrorBroker } from './broker-source.ts'
import { mirrorEvents } from './mirror-events.ts'
import { MirrorLink } from './mirror-link.ts'
import type { MirrorOptions } from './mirror-options.ts'
import type { MirrorStatus } from './mirror-status.ts'

export interface MirrorParts {
  readonly ports: Ports
  readonly broker: MirrorBroker
  /** One for each mirror; their names differ. */
  readonly options: readonly MirrorOptions[]
  /** Fills `{site}`. */
  readonly nodeSite: string
  /** Fills `{node}`. */
  readonly nodeId: number
  /** Of this run: tells the marks of records that were received while the time was not known from those of earlier ones. */
  readonly bootId: string
}

/** Records go out by themselves between `start` and `stop`. */
export class Mirror {
  readonly #source: BrokerSource
  readonly #links: readonly MirrorLink[]
  readonly #observer: Observer
  #isStopped = false

  /** Throws MIRROR_PATTERN_INVALID or MIRROR_TEMPLATE_INVALID. */
  constructor(parts: MirrorParts) {
    this.#source = new BrokerSource(parts.broker, parts.ports.clock, parts.ports.observer)
    this.#observer = parts.ports.observer
    const { ports, nodeSite: site, nodeId, bootId } = parts
    this.#links = parts.options.map(
      (options) => new MirrorLink({ ports, source: this.#source, options, site, nodeId, bootId }),
    )
  }

  /**
   * Reads the anchors, then begins to connect. Anchors that cannot be read do not stop the node: its mirrors have failed and say so, since
   * without anchors records would arrive twice.
   */
  async start(): Promise<void> {
    if (this.#links.length === 0) return
    const anchors = new Map<string, MirrorAnchor>()
    try {
      for (const { key, anchor } of await this.#source.readAnchors()) anchors.set(anchorKeyText(key), anchor)
    } catch (thrown) {
      const reason = asError(thrown).message
      this.#observer.event(mirrorEvents.anchorsUnreadable, { reason })
      for (const link of this.#links) link.fail(reason)
      return
    }
    if (this.#isStopped) return
    for (const link of this.#links) link.start(anchors)
  }

  /** Ends sending at once and writes down how far the targets had confirmed. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#links.map((link) => link.stop()))
  }

  status(): MirrorStatus[] {
    return this.#links.map((link) => link.status())
  }

  /** Sets the gauges before a scrape. */
  refreshGauges(): void {
    for (const link of this.#links) link.refreshGauges()
  }
}
