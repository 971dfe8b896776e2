import { MqttProtocolError } from './mqtt-protocol-error.ts'
import { fillRow, type PacketColumns } from './packet-columns.ts'
import { packetTypes } from './packet-types.ts'
import { reasonCodes } from './reason-codes.ts'

/**
 * Takes the rows in `columns`, which point into `source`; both are valid only during the call. Answers how many rows it took: fewer than
 * `columns.count` stops the decoder, which keeps the rest until `resume()`.
 */
export interface PacketRowsTaker {
  onRows(source: Uint8Array, columns: PacketColumns): number
}

export interface StreamDecoderLimits {
  /** Largest packet, fixed header included, before CONNECT was accepted. Refused at the fixed header. */
  readonly connectBytesMax: number
  /** The same afterwards: what CONNACK announces as Maximum Packet Size. */
  readonly packetBytesMax: number
}

/** Bytes that a small carry starts with; it doubles as bytes really come, so that an announced length alone costs nothing. */
const carryBytesMin = 512
/** From this size on an unfinished packet asks for a window, so that the socket reads into its place. */
const windowBytesMin = 65_536

/**
 * Cuts a stream of arbitrary chunks into packets. Whole packets are decoded where they lie; only an unfinished packet, or packets behind
 * a row that was not taken, are copied. Throws nothing but MqttProtocolError, after the packets before the bad one were handed over;
 * the decoder must not be used after that.
 */
export class MqttStreamDecoder {
  /** Set by the owner when CONNECT was accepted; 0 before. */
  level: 0 | 3 | 4 | 5 = 0
  private readonly columns: PacketColumns
  private readonly limits: StreamDecoderLimits
  private readonly taker: PacketRowsTaker
  private carry: Uint8Array | null = null
  private carryLength = 0
  private stalled = false

  /** The columns are shared by every decoder of a thread: decoding is synchronous. */
  constructor(columns: PacketColumns, limits: StreamDecoderLimits, taker: PacketRowsTaker) {
    this.columns = columns
    this.limits = limits
    this.taker = taker
  }

  /** Bytes kept for later. */
  get heldBytes(): number {
    return this.carryLength
  }

  /** True while rows wait for `resume()`. */
  get isStalled(): boolean {
    return this.stalled
  }

  /**
   * Memory for the next bytes of a started large packet, or null: see ConnectionHandlers.window in `base/ports.ts`. Not to be asked after `push` or
   * `resume` threw.
   */
  window(): Uint8Array | null {
    if (this.carry === null || this.stalled || this.carryLength < 5) return null
    const size = this.packetSize(this.carry, 0, this.carryLength)
    if (size < windowBytesMin || size - this.carryLength < windowBytesMin / 4) return null
    this.reserve(Math.min(size, this.carryLength * 2))
    return this.carry.subarray(this.carryLength, Math.min(size, this.carry.length))
  }

  /** Decodes what came. Throws MqttProtocolError. */
  push(bytes: Uint8Array): void {
    if (this.carryLength === 0) {
      this.keep(bytes, this.decode(bytes, bytes.length))
      return
    }
    if (this.stalled) {
      this.append(bytes, 0, bytes.length)
      return
    }
    const at = this.finishCarried(bytes)
    if (this.carryLength > 0) {
      // The carried packet is still unfinished, or it was not taken: everything behind it waits too.
      if (at < bytes.length) this.append(bytes, at, bytes.length)
      return
    }
    this.carry = null
    const rest = at === 0 ? bytes : bytes.subarray(at)
    this.keep(rest, this.decode(rest, rest.length))
  }

  /** Goes on with the rows that were not taken. Throws MqttProtocolError. */
  resume(): void {
    if (!this.stalled) return
    this.stalled = false
    const carry = this.carry as Uint8Array
    const length = this.carryLength
    this.carry = null
    this.carryLength = 0
    this.keep(carry.subarray(0, length), this.decode(carry, length))
  }

  /** Completes the one packet in the carry from `bytes`; answers how many of them it used. */
  private finishCarried(bytes: Uint8Array): number {
    let at = 0
    for (;;) {
      const size = this.packetSize(this.carry as Uint8Array, 0, this.carryLength)
      // A header of unknown size takes its next byte.
      const missing = size === 0 ? 1 : size - this.carryLength
      const taken = Math.min(missing, bytes.length - at)
      this.append(bytes, at, at + taken)
      at += taken
      if (taken < missing) return at
      if (size === 0) {
        if (this.packetSize(this.carry as Uint8Array, 0, this.carryLength) !== this.carryLength) continue
      }
      const carry = this.carry as Uint8Array
      const length = this.carryLength
      if (this.decode(carry, length) === length) this.carryLength = 0
      return at
    }
  }

  /** Decodes whole packets of [0, length) and hands them over; answers the position of the first byte that was not consumed. */
  private decode(source: Uint8Array, length: number): number {
    const columns = this.columns
    const capacity = columns.firstByte.length
    let at = 0
    while (at < length) {
      columns.count = 0
      let failure: unknown = null
      let end = at
      let isLast = false
      try {
        while (columns.count < capacity) {
          const size = this.packetSize(source, end, length)
          if (size === 0 || end + size > length) {
            isLast = true
            break
          }
          this.fill(source, end, size)
          end += size
          // What follows a CONNECT can be read only when its version is known.
          if ((source[end - size] as number) >>> 4 === packetTypes.connect) break
        }
      } catch (error) {
        failure = error
      }
      const count = columns.count
      const taken = count === 0 ? 0 : this.taker.onRows(source, columns)
      if (taken < count) {
        this.stalled = true
        return columns.packetStart[taken] as number
      }
      if (failure !== null) throw failure
      at = end
      if (isLast) break
    }
    return at
  }

  private fill(source: Uint8Array, packetStart: number, size: number): void {
    const columns = this.columns
    let bodyStart = packetStart + 2
    while (((source[bodyStart - 1] as number) & 128) !== 0) bodyStart += 1
    columns.packetStart[columns.count] = packetStart
    columns.bodyStart[columns.count] = bodyStart
    columns.bodyEnd[columns.count] = packetStart + size
    fillRow(columns, source, this.level)
  }

  /** Size of the packet at `at` with its fixed header, or 0 while the header is unfinished. Refuses what is too large or not a packet. */
  private packetSize(source: Uint8Array, at: number, length: number): number {
    if (this.level === 0 && at < length && (source[at] as number) >>> 4 !== packetTypes.connect) {
      // Said with the first byte: a browser or a scanner would leave the rest of its "packet" unsent [MQTT-3.1.0-1].
      throw new MqttProtocolError(reasonCodes.protocolError, 'the first packet is not CONNECT')
    }
    let remaining = 0
    let scale = 1
    for (let index = 1; index <= 4; index += 1) {
      if (at + index >= length) return 0
      const byte = source[at + index] as number
      remaining += (byte & 127) * scale
      if (byte < 128) {
        if (byte === 0 && index > 1) break
        const size = 1 + index + remaining
        if (size > (this.level === 0 ? this.limits.connectBytesMax : this.limits.packetBytesMax)) {
          throw new MqttProtocolError(reasonCodes.packetTooLarge, `a packet of ${size} bytes`)
        }
        return size
      }
      scale *= 128
    }
    throw new MqttProtocolError(reasonCodes.malformedPacket, 'the remaining length is not valid')
  }

  private keep(bytes: Uint8Array, from: number): void {
    if (from < bytes.length) this.append(bytes, from, bytes.length)
  }

  /** Adds bytes to the carry; bytes that came through the window are in place already. */
  private append(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) return
    const carry = this.carry
    const inPlace =
      carry !== null &&
      bytes.buffer === carry.buffer &&
      bytes.byteOffset + start === carry.byteOffset + this.carryLength
    if (!inPlace) {
      this.reserve(this.carryLength + end - start)
      ;(this.carry as Uint8Array).set(
        start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end),
        this.carryLength,
      )
    }
    this.carryLength += end - start
  }

  private reserve(size: number): void {
    if (this.carry !== null && this.carry.length >= size) return
    const grown = new Uint8Array(Math.max(size, carryBytesMin, (this.carry?.length ?? 0) * 2))
    if (this.carry !== null) grown.set(this.carry.subarray(0, this.carryLength))
    this.carry = grown
  }
}
