/** What all our streams have in common. */

/** Backlog above which `send` answers false: one large fetch answer may wait whole. */
export const backlogBytesMark = 1024 * 1024
/** First keep-alive probe: half of the shortest idle time-out of common NAT boxes. */
export const keepAliveMs = 60_000
