/** The high four bits of a packet's first byte (MQTT 3.1.1 and 5.0, table 2-1). */
export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const

/** Protocol level of CONNECT: 3 = MQTT 3.1 (`MQIsdp`), 4 = MQTT 3.1.1, 5 = MQTT 5.0. */
export type ProtocolLevel = 3 | 4 | 5

export type QualityOfService = 0 | 1 | 2

/** Largest value of a variable byte integer (1.5.5): four bytes of seven bits. */
export const variableByteIntegerMax = 268_435_455

/** Length of a variable byte integer, 1 to 4 bytes. */
export function variableByteIntegerSize(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4
}

/** Writes a variable byte integer at `at` and returns the position after it. */
export function writeVariableByteInteger(target: Uint8Array, at: number, value: number): number {
  let rest = value
  let position = at
  while (rest > 127) {
    target[position] = (rest & 127) | 128
    position += 1
    rest >>>= 7
  }
  target[position] = rest
  return position + 1
}
