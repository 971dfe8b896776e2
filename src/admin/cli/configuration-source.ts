/**
 * Where a configuration comes from, before anyone has judged it: the text of the YAML file, the flags of the command line and
 * the HEADWATER_ variables. The command line gathers it, `src/config.ts` makes a configuration of it.
 */
export interface ConfigurationSource {
  /** The YAML file as read, null when none was named and there is none at the usual place. */
  readonly file: { readonly name: string; readonly text: string } | null
  readonly flags: ConfigurationFlags
  /** The process environment; only names that begin with HEADWATER_ count. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Flags of `start` and `config` that override keys of the file. Values are as typed. */
export interface ConfigurationFlags {
  readonly dataDir?: string
  /** `HOST:PORT`, the one Kafka listener. */
  readonly kafka?: string
  readonly mqtt?: string
  readonly http?: string
  readonly logLevel?: string
}

/** One key with the value in force, for `headwater config print`. */
export interface ConfigurationEntry {
  /** Dotted path, `listeners.kafka`. */
  readonly key: string
  /** As it would be written in the file (JSON for lists). */
  readonly value: unknown
  readonly origin: 'default' | 'file' | 'environment' | 'flag'
  readonly description: string
}

export type ConfigurationReport =
  | { readonly kind: 'valid'; readonly entries: readonly ConfigurationEntry[] }
  /** One sentence for each fault, with file and line where it has one. */
  | { readonly kind: 'invalid'; readonly problems: readonly string[] }
