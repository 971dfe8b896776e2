import { TextDecoder } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  inspectUtf8,
  isValidTopicName,
  utf8HasWildcard,
  utf8Malformed,
  utf8Text,
} from '../../../src/protocol/mqtt/utf8.ts'

describe('UTF-8 strings', () => {
  it('are judged as the platform judges them, but for U+0000', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const pieces = fc.constantFrom(
      ...[
        '61',
        'c3a9',
        'e282ac',
        'f09f9880',
        'c3',
        'e282',
        'eda080',
        'c0af',
        'f4908080',
        'efbbbf',
        '00',
        '80',
        'f5',
        'e08080',
        'f0808080',
      ],
    )
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.array(pieces, { maxLength: 5 })), (value) => {
        const bytes = value instanceof Uint8Array ? value : Buffer.from(value.join(''), 'hex')
        let isGood = !bytes.includes(0)
        try {
          decoder.decode(bytes)
        } catch {
          isGood = false
        }
        expect((inspectUtf8(bytes, 0, bytes.length) & utf8Malformed) === 0).toBe(isGood)
      }),
      { numRuns: 5000 },
    )
  })

  it('keep a leading U+FEFF', () => {
    const bytes = Buffer.from('efbbbf61', 'hex')
    expect(utf8Text(bytes, 0, bytes.length)).toBe('\uFEFFa')
  })

  it('are topic names unless they are empty or hold a wildcard', () => {
    const judge = (text: string): boolean => isValidTopicName(Buffer.from(text), 0, Buffer.byteLength(text))
    expect(['a', '/', 'a b/ü', '$SYS/x'].map(judge)).toEqual([true, true, true, true])
    expect(['', 'a/+', '#', 'a\0'].map(judge)).toEqual([false, false, false, false])
    expect(inspectUtf8(Buffer.from('a/#'), 0, 3)).toBe(utf8HasWildcard)
  })
})
