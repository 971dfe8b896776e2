/**
 * Where encoders write: slabs that are filled once and never used again, so that the chunks handed out stay unchanged.
 *
 * A message begins where the last one ended. When the slab is full, what the message has so far moves to a new one; large byte fields are not
 * copied but put between two pieces of the slab. Positions that must survive a move are kept relative to `start`.
 */
import { ProtocolError } from './protocol-error.ts'

/** A slab serves some hundred ordinary responses; it lives until the last of them was sent. */
const slabBytes = 64 * 1024

/** From this size on a byte field is sent by reference: below it a copy is cheaper than another chunk. */
const referenceBytesMin = 1024

/** Longest text of the protocol, in bytes. */
const textBytesMax = 0x7fff

/** Native text functions of every Buffer, which its public type does not list. */
interface NativeText {
  utf8Write(text: string, at: number, bytesMax: number): number
  base64urlWrite(text: string, at: number, bytesMax: number): number
}

const native = Buffer.prototype as unknown as NativeText

export class EncodeSink {
  /** The slab. */
  bytes: Uint8Array
  view: DataView
  capacity: number
  /** First byte of the piece being written. */
  start: number
  /** The pieces that are finished; null: there is none yet. */
  #chunks: Uint8Array[] | null = null
  #chunkBytes = 0

  constructor() {
    this.bytes = Buffer.allocUnsafeSlow(slabBytes)
    this.view = viewOf(this.bytes)
    this.capacity = slabBytes
    this.start = 0
  }

  /** Begins a message; answers the position of its first byte. What an encoder that threw has left behind is forgotten. */
  begin(): number {
    this.#chunks = null
    this.#chunkBytes = 0
    return this.start
  }

  /** Ends the message at `at` and hands out its chunks. */
  finish(at: number): Uint8Array[] {
    this.#flush(at)
    if (this.capacity > slabBytes) this.#take(slabBytes)
    const chunks = this.#chunks ?? []
    this.#chunks = null
    return chunks
  }

  /** Bytes of the message up to `at`. */
  sizeAt(at: number): number {
    return this.#chunkBytes + at - this.start
  }

  /** Makes room for `length` more bytes behind `at`; answers where to go on. */
  grow(at: number, length: number): number {
    const written = at - this.start
    const piece = this.bytes.subarray(this.start, at)
    this.#take(Math.max(slabBytes, 2 * (written + length)))
    this.bytes.set(piece, 0)
    return written
  }

  /** Puts `chunk` behind what is written, without a copy. */
  reference(at: number, chunk: Uint8Array): void {
    this.#flush(at)
    this.#addChunk(chunk)
  }

  #take(capacity: number): void {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
    this.view = viewOf(this.bytes)
    this.capacity = capacity
    this.start = 0
  }

  #flush(at: number): void {
    if (at === this.start) return
    this.#addChunk(this.bytes.subarray(this.start, at))
    this.start = at
  }

  #addChunk(chunk: Uint8Array): void {
    if (this.#chunks === null) this.#chunks = [chunk]
    else this.#chunks.push(chunk)
    this.#chunkBytes += chunk.length
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/*
 * The functions below write one field at `at` and answer the position behind it. `room` is the number of bytes of fixed size that
 * follow before the next check of the capacity: they are part of the same check.
 */

/** Unsigned varint of up to 32 bits. Room for 5 bytes must be there. */
export function putUvarint(bytes: Uint8Array, at: number, value: number): number {
  let position = at
  let rest = value
  while (rest > 127) {
    bytes[position++] = (rest & 127) | 128
    rest >>>= 7
  }
  bytes[position++] = rest
  return position
}

/** Text with a length of two bytes, or with a varint of length + 1. */
export function putString(sink: EncodeSink, at: number, text: string, room: number, compact: boolean): number {
  const most = text.length * 3
  let position = at
  if (position + most + room + 5 > sink.capacity) position = sink.grow(position, most + room + 5)
  if (!compact) {
    const end = putText(sink, position + 2, text, most)
    checkTextLength(end - position - 2)
    sink.view.setInt16(position, end - position - 2)
    return end
  }
  if (most < 127) {
    const end = putText(sink, position + 1, text, most)
    sink.bytes[position] = end - position
    return end
  }
  const length = Buffer.byteLength(text)
  checkTextLength(length)
  return putText(sink, putUvarint(sink.bytes, position, length + 1), text, most)
}

function checkTextLength(length: number): void {
  if (length > textBytesMax) throw new ProtocolError(`a text of ${length} bytes is longer than ${textBytesMax}`)
}

/** UTF-8 without a length. Short ASCII is written here: a call into the runtime costs more than forty characters. */
function putText(sink: EncodeSink, at: number, text: string, most: number): number {
  const bytes = sink.bytes
  const length = text.length
  if (length <= 40) {
    let index = 0
    for (; index < length; index++) {
      const character = text.charCodeAt(index)
      if (character > 127) break
      bytes[at + index] = character
    }
    if (index === length) return at + length
  }
  return at + native.utf8Write.call(bytes, text, at, most)
}

export interface BytesShape {
  readonly compact: boolean
  /** May be sent by reference; not so inside a tagged field, whose size is known only afterwards. */
  readonly byReference: boolean
}

/** Bytes with a length of four bytes, or with a varint of length + 1. */
export function putBytes(sink: EncodeSink, at: number, field: Uint8Array, room: number, shape: BytesShape): number {
  const length = field.length
  const referenced = shape.byReference && length >= referenceBytesMin
  const need = (referenced ? 5 : length + 5) + room
  let position = at
  if (position + need > sink.capacity) position = sink.grow(position, need)
  if (shape.compact) {
    position = putUvarint(sink.bytes, position, length + 1)
  } else {
    sink.view.setInt32(position, length)
    position += 4
  }
  if (referenced) {
    sink.reference(position, field)
    return position
  }
  sink.bytes.set(field, position)
  return position + length
}

const zeroUuidText = 'AAAAAAAAAAAAAAAAAAAAAA'

/** 16 bytes of an id given as 22 characters. Room must be there. */
export function putUuid(sink: EncodeSink, at: number, text: string): number {
  if (text === zeroUuidText) {
    sink.bytes.fill(0, at, at + 16)
  } else if (text.length !== 22 || native.base64urlWrite.call(sink.bytes, text, at, 16) !== 16) {
    throw new ProtocolError(`not an id: ${text.slice(0, 40)}`)
  }
  return at + 16
}

/**
 * Puts the size of what was written since `mark` (a place of one byte, relative to `sink.start`) into that place; what was written moves up
 * when the size needs more than one byte.
 */
export function putSizeBefore(sink: EncodeSink, at: number, mark: number): number {
  const size = at - (sink.start + mark) - 1
  if (size < 128) {
    sink.bytes[sink.start + mark] = size
    return at
  }
  const position = at + 4 > sink.capacity ? sink.grow(at, 4) : at
  const place = sink.start + mark
  const head = new Uint8Array(5)
  const headBytes = putUvarint(head, 0, size)
  sink.bytes.copyWithin(place + headBytes, place + 1, position)
  sink.bytes.set(head.subarray(0, headBytes), place)
  return position + headBytes - 1
}
