/**
 * The order of appends of one connection, while a batch of it is being looked into off the loop: whatever it sends after that is
 * appended behind it (law 10). A connection without such a batch is not known here. Connections do not wait for each other. What
 * waits is bounded by the requests that a connection may have running.
 */

export class ProduceOrder {
  /** Of a connection that waits: settles when the last of its requests has been appended. */
  readonly #tails = new Map<number, Promise<void>>()

  /** Must a request of this connection stand behind another? */
  isBusy(connectionId: number): boolean {
    return this.#tails.has(connectionId)
  }

  /** Appends when the request is ready and those before it have been appended; answers what the append does. */
  run<T, R>(connectionId: number, ready: Promise<T>, append: (ready: T) => R | Promise<R>): Promise<R> {
    const before = this.#tails.get(connectionId)
    // The answer waits for the disk; the requests behind wait for the append only.
    const appended = Promise.all([ready, before]).then(([value]) => ({ answer: append(value) }))
    const tail: Promise<void> = Promise.allSettled([appended, before]).then(() => {
      if (this.#tails.get(connectionId) === tail) this.#tails.delete(connectionId)
    })
    this.#tails.set(connectionId, tail)
    return appended.then(({ answer }) => answer)
  }
}
