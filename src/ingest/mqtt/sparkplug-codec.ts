import type { SparkplugCodec } from '../../protocol/sparkplug/payload-codec.ts'
import type { SparkplugOptions } from './sparkplug.ts'

/** What decodes payloads of Sparkplug, for the parts of the door. Where none are to be decoded it is not even loaded. */
export async function openSparkplugCodec(
  options: Pick<SparkplugOptions, 'decodedTopic'> | null,
): Promise<{ readonly sparkplugCodec?: SparkplugCodec }> {
  if (options === null || options.decodedTopic === null) return {}
  const { sparkplugCodec } = await import('../../protocol/sparkplug/payload-codec.ts')
  return { sparkplugCodec }
}
