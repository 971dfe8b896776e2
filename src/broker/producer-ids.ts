/** Hands out producer ids from blocks that are durable in the metadata log before the first of them is used. */
import type { MetadataController } from '../cluster/metadata/metadata-controller.ts'

export class ProducerIds {
  readonly #controller: MetadataController
  #next = 0
  #end = 0
  #refill: Promise<void> | null = null

  constructor(controller: MetadataController) {
    this.#controller = controller
  }

  /** An id that no producer has had. Rejects when a block cannot be written. */
  async next(): Promise<number> {
    while (this.#next >= this.#end) {
      this.#refill ??= this.#takeBlock().finally(() => {
        this.#refill = null
      })
      await this.#refill
    }
    return this.#next++
  }

  async #takeBlock(): Promise<void> {
    const { first, count } = await this.#controller.allocateProducerIds()
    this.#next = first
    this.#end = first + count
  }
}
