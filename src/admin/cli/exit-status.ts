/** Exit statuses: 0 done, 1 failed, 2 misused. */
export const exitStatus = { done: 0, failed: 1, misused: 2 } as const
