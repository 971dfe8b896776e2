/** Reads the elements of DER (X.690): tag, length, content. What they mean is the caller's to know. */

export interface DerElement {
  readonly tag: number
  /** All of it, with tag and length. */
  readonly whole: Uint8Array
  readonly content: Uint8Array
}

/** The bytes are no DER. */
export class DerError extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'DerError'
  }
}

/** The element that begins there; lengths of up to four bytes. Throws DerError. */
export function derElement(bytes: Uint8Array, start = 0): DerElement {
  const [tag, first] = [bytes[start], bytes[start + 1]]
  if (tag === undefined || first === undefined) throw new DerError('an element ends early')
  const count = first < 0x80 ? 0 : first & 0x7f
  if (first === 0x80 || count > 4) throw new DerError('a length that DER does not have')
  const at = start + 2 + count
  if (at > bytes.length) throw new DerError('a length ends early')
  let length = count === 0 ? first : 0
  for (const byte of bytes.subarray(start + 2, at)) length = length * 256 + byte
  if (length > bytes.length - at) throw new DerError('an element ends early')
  return { tag, whole: bytes.subarray(start, at + length), content: bytes.subarray(at, at + length) }
}

/** The elements that the content of another one holds, up to its last byte. Throws DerError. */
export function derChildren(content: Uint8Array): readonly DerElement[] {
  const children: DerElement[] = []
  for (let at = 0; at < content.length; ) {
    const element = derElement(content, at)
    children.push(element)
    at += element.whole.length
  }
  return children
}
