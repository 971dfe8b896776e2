/**
 * From a message table to codecs: one decoder and one encoder for each message and version, made on first use.
 *
 * They are compiled with `new Function` from our own schema (never from bytes that came from outside): straight-line code over a DataView
 * costs a third of a chain of closures. The decoder never copies: byte fields are views into the message.
 */
import { zeroUuid } from '../../base/ids.ts'
import { readerSource, type Source } from './compile-reader.ts'
import { writerSource } from './compile-writer.ts'
import { EncodeSink, putBytes, putSizeBefore, putString, putUuid, putUvarint } from './encode-sink.ts'
import { ProtocolError } from './protocol-error.ts'
import type { InferInput, InferMessage, MessageSchema, TaggedField } from './schema.ts'

/** Where a decoder leaves the position behind what it read, and how many members all lists in it have together. */
interface Cursor {
  at: number
  members: number
}

interface Codec {
  /** The field's view of the bytes must end where they end. */
  read(bytes: Uint8Array, view: DataView, at: number, cursor: Cursor): unknown
  /** Writes behind `at`; answers the position behind the message. */
  write(sink: EncodeSink, at: number, value: unknown): number
}

const cursor: Cursor = { at: 0, members: 0 }
const sink = new EncodeSink()

export interface Decoded<T> {
  readonly value: T
  /** Position behind the message. */
  readonly end: number
  /** Of all its lists together. */
  readonly members: number
}

/**
 * Reads a message that begins at `offset`. Byte fields are views into `bytes`. Bytes behind the message are the caller's affair.
 * Throws a ProtocolError on a version the message does not have and on bytes that are not such a message.
 */
export function decodeMessage<M extends MessageSchema>(
  message: M,
  version: number,
  bytes: Uint8Array,
  offset = 0,
): Decoded<InferMessage<M>> {
  const codec = codecOf(message, version)
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    cursor.members = 0
    const value = codec.read(bytes, view, offset, cursor) as InferMessage<M>
    return { value, end: cursor.at, members: cursor.members }
  } catch (thrown) {
    if (thrown instanceof RangeError) throw new ProtocolError(`${message.name} v${version}: ends early`)
    throw thrown
  }
}

/**
 * The bytes of a message as a list of chunks, to be sent in this order. Byte fields from 1 KiB on are in it by reference: they must stay
 * unchanged until the chunks are sent. A missing property takes its default. Throws a ProtocolError when the value cannot be written in
 * this version.
 */
export function encodeMessage<M extends MessageSchema>(
  message: M,
  version: number,
  value: InferInput<M>,
): Uint8Array[] {
  const codec = codecOf(message, version)
  return sink.finish(codec.write(sink, sink.begin(), value))
}

/** The same as one piece of memory of its own, behind `prefix` when there is one. For what is kept, as records are. */
export function encodeMessageWhole<M extends MessageSchema>(
  message: M,
  version: number,
  value: InferInput<M>,
  prefix?: Uint8Array | readonly number[],
): Uint8Array {
  const chunks = encodeMessage(message, version, value)
  const prefixBytes = prefix?.length ?? 0
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, prefixBytes))
  if (prefix !== undefined) whole.set(prefix, 0)
  let at = prefixBytes
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

/** What a frame begins with, after its length. */
export interface FrameHead {
  /** Writes it at `at`; answers the position behind it. */
  write(sink: EncodeSink, at: number): number
}

/** A frame: four bytes of length, the head, the message. Chunks as `encodeMessage` gives them. */
export function encodeFrame<M extends MessageSchema>(
  message: M,
  version: number,
  value: InferInput<M>,
  head: FrameHead,
): Uint8Array[] {
  const codec = codecOf(message, version)
  let at = sink.begin()
  if (at + 4 > sink.capacity) at = sink.grow(at, 4)
  const end = codec.write(sink, head.write(sink, at + 4), value)
  const length = sink.sizeAt(end) - 4
  const chunks = sink.finish(end)
  const first = chunks[0] as Uint8Array
  new DataView(first.buffer, first.byteOffset, 4).setInt32(0, length)
  return chunks
}

function codecOf(message: MessageSchema, version: number): Codec {
  const known = message.codecs[version]
  if (known !== undefined) return known as Codec
  if (!Number.isInteger(version) || version < message.versions.first || version > message.versions.last) {
    throw new ProtocolError(`${message.name} has no version ${version}`)
  }
  const codec = compile(message, version)
  message.codecs[version] = codec
  return codec
}

function compile(message: MessageSchema, version: number): Codec {
  const failAs = (verb: string) => (path: string, what: string) => {
    throw new ProtocolError(`${verb} ${path} (version ${version}): ${what}`)
  }
  const name = `${message.name}.v${version}`
  const read = link(readerSource(message, version), `${name}.read`, 'bytes, view, at, cursor', {
    ...readTools,
    fail: failAs('read'),
  })
  const write = link(writerSource(message, version), `${name}.write`, 'sink, at, value', writeTools(failAs('write')))
  return { read, write } as unknown as Codec
}

/** Makes a function of the parameters out of a source; its tools and constants are its surroundings. `name` is what a stack trace says. */
function link(source: Source, name: string, parameters: string, tools: object): unknown {
  const text = `"use strict"; const { ${source.tools} } = tools; return (${parameters}) => {
${source.text}
}
//# sourceURL=kafka/${name}`
  const make = new Function('tools', 'constants', text) as (tools: object, constants: readonly unknown[]) => unknown
  return make(tools, source.constants)
}

/** Native text functions of every Buffer, which its public type does not list. */
interface NativeText {
  utf8Slice(start: number, end: number): string
  base64urlSlice(start: number, end: number): string
}

const native = Buffer.prototype as unknown as NativeText

/** What a decoder calls. */
const readTools = {
  uvarint(bytes: Uint8Array, at: number, into: Cursor): number {
    let value = 0
    for (let shift = 0, position = at; shift < 35; shift += 7) {
      const byte = bytes[position++]
      if (byte === undefined) throw new ProtocolError('a varint ends early')
      if (shift === 28 && byte > 7) break
      value |= (byte & 127) << shift
      if (byte < 128) {
        into.at = position
        return value
      }
    }
    throw new ProtocolError('a varint is larger than an int32')
  },
  text(bytes: Uint8Array, at: number, length: number): string {
    return length === 0 ? '' : native.utf8Slice.call(bytes, at, at + length)
  },
  uuid(bytes: Uint8Array, view: DataView, at: number): string {
    if (view.getInt32(at) === 0 && view.getInt32(at + 4) === 0 && view.getInt32(at + 8) === 0) {
      if (view.getInt32(at + 12) === 0) return zeroUuid
    }
    return native.base64urlSlice.call(bytes, at, at + 16)
  },
  slice(bytes: Uint8Array, at: number, length: number): Uint8Array {
    return new Uint8Array(bytes.buffer, bytes.byteOffset + at, length)
  },
}

/** What an encoder calls. `end` is where `putUnknown` stopped. */
function writeTools(fail: (path: string, what: string) => never) {
  const tools = {
    fail,
    putUvarint,
    putString,
    putBytes,
    putUuid,
    putSizeBefore,
    inline: [
      { compact: false, byReference: false },
      { compact: true, byReference: false },
    ],
    reference: [
      { compact: false, byReference: true },
      { compact: true, byReference: true },
    ],
    end: 0,
    /** Writes the unknown fields from `next` on whose tags are below `below`; answers the index of the first that was left. */
    putUnknown(into: EncodeSink, at: number, unknown: readonly TaggedField[], next: number, below: number): number {
      let index = next
      let position = at
      for (let field = unknown[index]; field !== undefined && field.tag < below; field = unknown[++index]) {
        const need = field.bytes.length + 20
        if (position + need > into.capacity) position = into.grow(position, need)
        position = putUvarint(into.bytes, position, field.tag)
        position = putUvarint(into.bytes, position, field.bytes.length)
        into.bytes.set(field.bytes, position)
        position += field.bytes.length
      }
      tools.end = position
      return index
    },
  }
  return tools
}
