/** What a core reports of its doings; the driver makes events and figures of it. */
export type GroupNote =
  | {
      readonly kind: 'preparing'
      readonly groupId: string
      readonly generationId: number
      readonly reason: string
    }
  | { readonly kind: 'stable'; readonly groupId: string; readonly generationId: number; readonly members: number }
  | { readonly kind: 'empty'; readonly groupId: string; readonly generationId: number }
  | { readonly kind: 'removed'; readonly groupId: string; readonly memberId: string; readonly reason: string }
  | { readonly kind: 'staticReplaced'; readonly groupId: string; readonly memberId: string }
  | { readonly kind: 'committed'; readonly offsets: number }
  | { readonly kind: 'expired'; readonly groupId: string; readonly offsets: number }
  | { readonly kind: 'deleted'; readonly groupId: string }
