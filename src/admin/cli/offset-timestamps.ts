/** Special timestamps of ListOffsets. */
export const latestTimestamp = -1
export const earliestTimestamp = -2
