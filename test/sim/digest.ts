/** Numbers that tell contents from one another: 52 bits, no cryptography. */
const half = 0x1_0000_0000

/** A digest of all that went into `digest` so far and of `value`, a whole number below 2^53 or a digest. */
export function mix(digest: number, value: number): number {
  const low = digest >>> 0
  const high = Math.floor(digest / half)
  const valueLow = value >>> 0
  const valueHigh = Math.floor(value / half)
  const mixedLow = scramble(Math.imul(low, 0x9e3779b1) + valueLow + Math.imul(high, 0x27d4eb2f))
  const mixedHigh = scramble(Math.imul(high, 0x85ebca77) + valueHigh + Math.imul(mixedLow ^ low, 0xc2b2ae3d))
  return mixedLow + (mixedHigh >>> 12) * half
}

/** The digest with a text in it. */
export function mixText(digest: number, text: string): number {
  return mix(digest, digestOfText(text))
}

/** Digests of texts: names of files come again and again. Bound: begun anew at `textsMax`. */
const texts = new Map<string, number>()
const textsMax = 4096

function digestOfText(text: string): number {
  const known = texts.get(text)
  if (known !== undefined) return known
  let digest = mix(0, text.length)
  for (let at = 0; at < text.length; at++) digest = mix(digest, text.charCodeAt(at))
  if (texts.size >= textsMax) texts.clear()
  texts.set(text, digest)
  return digest
}

function scramble(word: number): number {
  let mixed = word | 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
