/** Reads files out of a jar (a zip archive): just enough for Kafka's own. */
import { readFileSync } from 'node:fs'
import { inflateRawSync } from 'node:zlib'

const endSignature = 0x06054b50
const entrySignature = 0x02014b50

/** The texts of the entries whose names match, by name. Throws when the file is not a zip archive. */
export function readJar(path: string, matches: RegExp): Map<string, string> {
  const bytes = readFileSync(path)
  const texts = new Map<string, string>()
  let end = bytes.length - 22
  while (end >= 0 && bytes.readUInt32LE(end) !== endSignature) end--
  if (end < 0) throw new Error(`${path} is not a zip archive`)
  let at = bytes.readUInt32LE(end + 16)
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    if (bytes.readUInt32LE(at) !== entrySignature) throw new Error(`${path}: broken directory`)
    const nameLength = bytes.readUInt16LE(at + 28)
    const name = bytes.toString('utf8', at + 46, at + 46 + nameLength)
    if (matches.test(name)) texts.set(name, entryText(bytes, at))
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32)
  }
  return texts
}

function entryText(bytes: Buffer, entry: number): string {
  const isStored = bytes.readUInt16LE(entry + 10) === 0
  const size = bytes.readUInt32LE(entry + 20)
  const local = bytes.readUInt32LE(entry + 42)
  const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28)
  const packed = bytes.subarray(start, start + size)
  return (isStored ? packed : inflateRawSync(packed)).toString('utf8')
}
