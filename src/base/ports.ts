/**
 * The six ports: the whole outside world of the appliance, and the observer that reports on it.
 *
 * `src/node` implements them on the operating system, `test/sim` from one seed. No other file may read a clock,
 * draw a random number, touch a file or open a socket.
 */
import type { EventDefinition, EventFields } from './event-def.ts'
import type { MetricDefinition, MetricLabels } from './metric-def.ts'

export interface Ports {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly disk: Disk
  readonly net: Net
  readonly compute: Compute
  readonly observer: Observer
}

// ---------------------------------------------------------------------------------------------------- Clock

/** Opaque handle of a scheduled task. */
export interface Timer {
  readonly timer: unique symbol
}

export interface Clock {
  /** Wall time, whole milliseconds since the Unix epoch. Never below the floor given to `raiseWallFloor`. */
  wallMs(): number
  /** Monotonic time in milliseconds with a fraction; its zero point is arbitrary. */
  monotonicMs(): number
  /** False while the host's clock is known to be wrong (before the build date, not yet synchronised). */
  wallTrusted(): boolean
  /** Tells the clock the newest durable stamp of our own: wall time never reads earlier than that again. */
  raiseWallFloor(wallMs: number): void
  /** Runs `task` once, `delayMs` from now (at least 1 ms). */
  schedule(delayMs: number, task: () => void): Timer
  cancel(timer: Timer): void
  /** Runs `task` once, after the input and output callbacks of this turn of the loop: the place where a turn's work is gathered. */
  defer(task: () => void): void
}

// -------------------------------------------------------------------------------------------------- Entropy

export interface Entropy {
  /** Uniform in [0, 2^32). */
  uint32(): number
  /** Uniform in [0, bound), bound in [1, 2^32]. */
  below(bound: number): number
  /** Fresh random bytes, fit for keys and ids. */
  bytes(length: number): Uint8Array
}

// ----------------------------------------------------------------------------------------------------- Disk

/**
 * One operation of an ordered group. Paths are absolute; `write` creates a missing file (its directory entry is durable
 * only after `syncDirectory`).
 */
export type DiskOperation =
  /** Bytes go to `position`; `chunks` must stay unchanged until the group completes. */
  | { readonly kind: 'write'; readonly path: string; readonly position: number; readonly chunks: readonly Uint8Array[] }
  /** Bytes of another file go to `position`, as the operations before have left it. Of each piece its place there and its length; EIO where it ends sooner. */
  | {
      readonly kind: 'copy'
      readonly from: string
      readonly pieces: readonly number[]
      readonly path: string
      readonly position: number
    }
  /** Replaces the content of a whole (small) file in place; not atomic: write a temporary name and rename. */
  | { readonly kind: 'writeFile'; readonly path: string; readonly bytes: Uint8Array }
  /** Blocks that were reserved behind the new end are given back, also when the size stays as it is. */
  | { readonly kind: 'truncate'; readonly path: string; readonly size: number }
  /** Takes the blocks of the first `size` bytes; the file's size stays as it is. EOPNOTSUPP where that cannot be had. */
  | { readonly kind: 'reserve'; readonly path: string; readonly size: number }
  /** fdatasync. A file that does not exist is an error. */
  | { readonly kind: 'sync'; readonly path: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  /** A missing file is not an error. */
  | { readonly kind: 'unlink'; readonly path: string }
  /** Creates missing parents too; an existing directory is not an error. */
  | { readonly kind: 'makeDirectory'; readonly path: string }
  /** The directory must be empty; a missing one is not an error. */
  | { readonly kind: 'removeDirectory'; readonly path: string }
  | { readonly kind: 'syncDirectory'; readonly path: string }

export interface RefusedPath {
  readonly path: string
  readonly code: string
}

export interface DirectoryEntry {
  readonly name: string
  readonly isDirectory: boolean
}

export type LockOutcome =
  | { readonly held: true; release(): Promise<void> }
  /** `holder` is the process id of the other owner where the system tells it. */
  | { readonly held: false; readonly holder: number | null }

export interface SubmitOptions {
  /**
   * The group is not run when the one submitted right before it has failed (or was not run for this reason); it is rejected with ECANCELED.
   * For what must not be on the disk without the group before it, and need not wait for its completion.
   */
  readonly needsPrevious?: boolean
}

/**
 * The disk is one ordered queue of groups: groups start in the order they were submitted, the operations of one group run in
 * order and stop at the first failure, and the group's promise rejects with a `DiskError` that names the operation. Two groups
 * never overlap. Reads are not part of the queue: they see every write whose group has completed.
 */
export interface Disk {
  submit(operations: readonly DiskOperation[], options?: SubmitOptions): Promise<void>
  /**
   * Reads up to `length` bytes at `position`; the result is shorter only at the end of the file. Rejects when the file is missing.
   * With `into` (at least `length` long) the answer is a part of it: whoever reads much reads into the same memory again.
   */
  read(path: string, position: number, length: number, into?: Uint8Array): Promise<Uint8Array>
  /**
   * Reads without waiting for the device, on the loop: the bytes when they are cached in memory, or null when they are not
   * (then use `read`). May answer fewer bytes than asked for.
   */
  readHot(path: string, position: number, length: number): Uint8Array | null
  /** Whole small file, or null when it does not exist. Rejects when it is larger than `bytesMax`. */
  readFile(path: string, bytesMax: number): Promise<Uint8Array | null>
  /** Entries in name order; an empty list for a missing directory. */
  list(path: string): Promise<readonly DirectoryEntry[]>
  /** Size in bytes, or null when there is no such file. */
  size(path: string): Promise<number | null>
  /**
   * Those of the files and folders that this process may not write to, as the system says it now (EACCES; EPERM for an immutable one); what
   * does not exist is none of them.
   */
  refusals(paths: readonly string[]): Promise<readonly RefusedPath[]>
  /** Bytes that an unprivileged writer may still use on the file system of `path`, and its size. */
  space(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }>
  /** Exclusive advisory lock on a file (created when missing), honoured by Apache Kafka on `.lock`. */
  lock(path: string): Promise<LockOutcome>
  /**
   * Syncs these files beside the queue: what is submitted meanwhile does not wait for it. When it resolves, what groups that had completed
   * by the call wrote to them is durable; of anything later it says nothing. Rejects like a `sync` of one of them. A file that is gone by
   * then is passed over.
   */
  syncAside(paths: readonly string[]): Promise<void>
  /** Tells that the files' descriptors may go: called after a log was deleted or a segment sealed. */
  forget(path: string): void
}

/** A failed disk operation: `code` is the system's (ENOSPC, EIO, EROFS ...). */
export class DiskError extends Error {
  readonly code: string
  readonly operation: string
  readonly path: string
  /** Place of the operation in its group. */
  readonly index: number
  constructor(code: string, operation: string, path: string, index = 0) {
    super(`${operation} ${path}: ${code}`)
    this.name = 'DiskError'
    this.code = code
    this.operation = operation
    this.path = path
    this.index = index
  }
}

// ------------------------------------------------------------------------------------------------------ Net

export interface ListenAddress {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
}

/** A socket in the file system, for clients on this machine. */
export interface UnixPlace {
  /** Absolute. A file of a listener that is gone is replaced, one that somebody listens behind is not. */
  readonly path: string
  /** Permissions of the file. */
  readonly mode: number
}

export type ListenPlace = ListenAddress | UnixPlace

/** Frames of a WebSocket carry the stream (RFC 6455). */
export interface WebSocketOptions {
  /** Path of the upgrade; any other is answered 404. */
  readonly path: string
  /** Origins of web pages whose scripts may connect, `*` = any. */
  readonly allowedOrigins: readonly string[]
  /** A client must offer one of these; the first that it offers is chosen. */
  readonly subProtocols: readonly string[]
  /** Longest message, in all its frames. */
  readonly messageBytesMax: number
  /** The same, and frames around it, before the peer is trusted. */
  readonly untrustedBytesMax: number
}

/** Every connection begins with a PROXY header (v1 or v2) that says whose it is. */
export interface ProxyProtocolOptions {
  /** Addresses and networks (`10.0.0.0/8`) whose headers are believed; others are closed. A Unix socket needs none. */
  readonly from: readonly string[]
}

/** What a gate says of a new connection. */
export interface ListenerPass {
  /** Not null: one connection too many, taken to be told so. */
  readonly refusal: string | null
  /** It goes on after this time only. */
  readonly waitMs: number
  /** The connection is closed. */
  leave(): void
}

/** Counts connections from the moment they are accepted, before any handshake. */
export interface ListenerGate {
  /** Null: the connection is closed at once. */
  enter(remoteHost: string): ListenerPass | null
}

/** How a listener takes connections. */
export interface ListenOptions {
  readonly tls?: TlsContext | null
  readonly webSocket?: WebSocketOptions | null
  readonly proxyProtocol?: ProxyProtocolOptions | null
  readonly gate?: ListenerGate | null
  /** Many connections that bring little at a time: what is ready on several of them may be read in one go. */
  readonly bringsLittle?: boolean
}

export interface PeerFacts {
  /** Of the client; behind a PROXY header the one it names. 127.0.0.1 for clients of a Unix socket. */
  readonly remoteHost: string
  readonly remotePort: number
  /** The address on our side that the connection came in on. */
  readonly localHost: string
  readonly localPort: number
  /** Name of the listener (`kafka`, `mqtt`, `http`) or `outbound`. */
  readonly listener: string
  /** The stream is encrypted by TLS. */
  readonly isEncrypted: boolean
  /** The client's certificate (DER), proved by the handshake and signed by the listener's client CA; null = none. */
  readonly certificate: Uint8Array | null
  /** What the listener's gate has against the connection. */
  readonly refusal: string | null
  /** What the handshakes below have used of the time a stranger may take. */
  readonly openingMs: number
}

/** `requested`: a client may stay without a certificate, but one that it shows must be good. */
export type TlsClientAuth = 'none' | 'requested' | 'required'

export interface TlsKeyPair {
  /** The certificate, with the intermediate ones behind it. */
  readonly certificate: Uint8Array
  /** Its private key, not encrypted. */
  readonly key: Uint8Array
}

/** The content of the files of a listener. */
export interface TlsMaterial extends TlsKeyPair {
  /** Shown to clients that ask for a host name (SNI) which one of these is for and `certificate` is not. */
  readonly more?: readonly TlsKeyPair[]
  /** Whose signature makes a client's certificate good; null = nobody's. */
  readonly clientCa: Uint8Array | null
  /** Their revocation lists (PEM or DER): a client's certificate that stands in one is refused, and every one while a list is too old. */
  readonly clientCrl?: Uint8Array | null
}

/** What a certificate says of itself; of several the one that ends first. */
export interface TlsFacts {
  readonly subject: string
  readonly notAfterMs: number
  /** The same as a date (ISO 8601). */
  readonly notAfter: string
  /** When the first of the revocation lists is too old; null = there are none, or none says so. */
  readonly crlNextUpdateMs: number | null
  /** How old each revocation list is; empty = there are none. */
  readonly crlAges: readonly CrlAge[]
}

/** Which of two revocation lists of an authority is the newer one (RFC 5280, 5.2.3). */
export interface CrlAge {
  /** Fingerprint of its certificate. */
  readonly authority: string
  /** Counts the lists of the authority; null = it does not. */
  readonly number: bigint | null
  readonly madeMs: number
}

/** What a listener shows in its handshakes. Several listeners may share one. */
export interface TlsContext {
  readonly clientAuth: TlsClientAuth
  /**
   * Handshakes from now on use this; open connections stay as they are. Throws a NetError (TLS_UNUSABLE) and changes nothing when
   * it cannot be used: not PEM, or a key that does not belong to the certificate. Whether it has expired is the caller's to judge.
   */
  replace(material: TlsMaterial): TlsFacts
}

export interface ConnectionHandlers {
  /** `bytes` is valid only during the call: the memory is used again for the next connection's read. */
  onBytes(bytes: Uint8Array): void
  /** After `send` answered false: the backlog has gone. */
  onDrain?(): void
  /** Called once, after which nothing else is called. `error` is null for an orderly end. */
  onClose(error: Error | null): void
  /**
   * Asked after each `onBytes`: memory for the next bytes when a large frame has been started, so that they land in place.
   * Bytes that come in it are handed to `onBytes` as a part of that memory (same ArrayBuffer). Null = the common scratch buffer.
   */
  window?(): Uint8Array | null
}

/** One byte stream with peer facts, whatever carries it. */
export interface Connection {
  readonly peer: PeerFacts
  /** Called once, at once, by whoever takes the connection. Nothing is read before. */
  start(handlers: ConnectionHandlers): void
  /** Queues the chunks in order; they must stay unchanged until sent. Answers false when the backlog is above its mark: wait for `onDrain`. */
  send(chunks: readonly Uint8Array[]): boolean
  /** Bytes that were handed to `send` and are not yet with the kernel. */
  readonly backlogBytes: number
  pause(): void
  resume(): void
  /** It is known who the peer is: larger messages may be gathered for it. */
  trust(): void
  /** Sends what is queued, then closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
}

export interface Listener {
  readonly host: string
  readonly port: number
  /** Of a Unix socket; host and port say nothing then. */
  readonly path: string | null
  /** Stops accepting; open connections stay. */
  close(): Promise<void>
}

export interface Net {
  /** Rejects with a `NetError` (EADDRINUSE, EACCES, EADDRNOTAVAIL ...). `name` becomes `peer.listener`. */
  listen(
    name: string,
    place: ListenPlace,
    onConnection: (connection: Connection) => void,
    options?: ListenOptions,
  ): Promise<Listener>
  /** A context of this port's listeners, empty until `replace`. */
  tlsContext(clientAuth: TlsClientAuth): TlsContext
  /** Rejects with a `NetError` (ECONNREFUSED, ETIMEDOUT, ENOTFOUND ...). With `tls` the handshake has succeeded when it resolves. */
  connect(address: ListenAddress, timeoutMs: number, tls?: OutboundTls | null): Promise<Connection>
  /** GET (with a form: POST) of one small document over HTTP; nothing but an answer of 200 counts, and no redirection is followed. Rejects with a `NetError`. */
  fetchDocument(request: DocumentRequest): Promise<Uint8Array>
}

/** TLS towards a server, from PEM. */
export interface OutboundTls {
  /** Whose signature makes the server's certificate good; null = the public authorities. */
  readonly ca: Uint8Array | null
  /** What we show when we are asked, with its key. */
  readonly certificate: Uint8Array | null
  readonly key: Uint8Array | null
  /** The name that the server's certificate must hold; null = the host that is connected to. */
  readonly serverName: string | null
}

export interface DocumentRequest {
  /** `https:`, or `http:` where the caller has judged that. */
  readonly url: string
  /** For everything, from the name of the host to the last byte. */
  readonly timeoutMs: number
  readonly bytesMax: number
  /** PEM: the authorities whose signature makes the server's certificate good; null = the public ones. */
  readonly ca: Uint8Array | null
  readonly form?: DocumentForm
}

/** What is sent with a POST, as `application/x-www-form-urlencoded`. */
export interface DocumentForm {
  readonly fields: Readonly<Record<string, string>>
  /** The header of this name. It and the fields are secret: no error tells them. */
  readonly authorization: string
}

export class NetError extends Error {
  readonly code: string
  constructor(code: string, attempt: string) {
    super(`${attempt}: ${code}`)
    this.name = 'NetError'
    this.code = code
  }
}

// -------------------------------------------------------------------------------------------------- Compute

export type CompressionCodec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** Work that must not run on the loop. */
export interface Compute {
  /** Kafka's framings: snappy as xerial blocks (raw accepted), lz4 as frames. Level omitted = the codec's default. */
  compress(codec: CompressionCodec, bytes: Uint8Array, level?: number): Promise<Uint8Array>
  /** Rejects with code COMPRESSION_LIMIT when the output would exceed `bytesMax`, COMPRESSION_CORRUPT when it cannot be decoded. */
  decompress(codec: CompressionCodec, bytes: Uint8Array, bytesMax: number): Promise<Uint8Array>
  /**
   * The same for a look into what strangers have packed: `use` gets the output, which is counted against what may be unpacked at a time
   * until `use` has settled. Its memory is then given back: nobody may read it any more.
   */
  unpack<T>(
    codec: CompressionCodec,
    bytes: Uint8Array,
    bytesMax: number,
    use: (output: Uint8Array) => T | Promise<T>,
  ): Promise<T>
  /** PBKDF2 with HMAC (RFC 8018), as long as the digest. Callers bound how many they ask for. */
  deriveKey(request: KeyDerivation): Promise<Uint8Array>
  /** The keys of a JSON Web Key Set (RFC 7517) that can check a signature; rejects when there is none or the text is no such set. */
  tokenKeys(set: Uint8Array): Promise<TokenKeys>
  /** The credentials of a Kerberos service. Throws an Error where there is no Kerberos, or no key for the principal in the file. */
  gssAcceptor(keytab: string, principal: string): GssAcceptor
  /**
   * A Kerberos principal, by its keys, that shows tickets to a service (`NAME@HOST`). Throws an Error where there is no Kerberos; a
   * file or a realm that gives no ticket is told by the first step.
   */
  gssInitiator(keytab: string, principal: string, service: string): GssInitiator
}

/** One exchange that we begin; one call at a time. What it rejects with is what the library says. */
export interface GssInitiator {
  /** `token` is empty for the first step. `isComplete`: each side knows who the other one is. */
  initiate(token: Uint8Array): Promise<{ readonly bytes: Uint8Array; readonly isComplete: boolean }>
  wrap(bytes: Uint8Array): Promise<Uint8Array>
  unwrap(bytes: Uint8Array): Promise<Uint8Array>
}

/** A service that others show their tickets to (GSS-API, RFC 2743). */
export interface GssAcceptor {
  begin(): GssContext
}

/** One exchange; one call at a time. What it rejects with is what the library says. */
export interface GssContext {
  /** `name` is the principal once the context stands, null before. `bytes` are for the other side. */
  accept(token: Uint8Array): Promise<{ readonly bytes: Uint8Array; readonly name: string | null }>
  wrap(bytes: Uint8Array): Promise<Uint8Array>
  unwrap(bytes: Uint8Array): Promise<Uint8Array>
}

/** Public keys by which signed tokens (JWS compact, RFC 7515) are told from others. */
export interface TokenKeys {
  readonly size: number
  /** Checks the signature alone; what the token claims is the caller's to judge. Never rejects. */
  verify(token: string): Promise<SignatureVerdict>
}

export type SignatureVerdict =
  | {
      readonly kind: 'signed'
      readonly header: ReadonlyMap<string, unknown>
      readonly claims: ReadonlyMap<string, unknown>
    }
  /** `isKeyUnknown`: a newer set may have the key. The reason holds nothing of the token. */
  | { readonly kind: 'refused'; readonly reason: string; readonly isKeyUnknown: boolean }

export interface KeyDerivation {
  readonly password: Uint8Array
  readonly salt: Uint8Array
  readonly iterations: number
  readonly digest: 'sha256' | 'sha512'
}

export class ComputeError extends Error {
  readonly code: 'COMPRESSION_LIMIT' | 'COMPRESSION_CORRUPT'
  constructor(code: 'COMPRESSION_LIMIT' | 'COMPRESSION_CORRUPT', message: string) {
    super(message)
    this.name = 'ComputeError'
    this.code = code
  }
}

// ------------------------------------------------------------------------------------------------- Observer

/** Events and figures out, no answer: pino and prom-client live behind it. Call it per batch, never per record. */
export interface Observer {
  event<D extends EventDefinition>(definition: D, fields: EventFields<D>): void
  /** Adds to a counter. */
  add(metric: MetricDefinition, amount: number, labels?: MetricLabels): void
  /** Sets a gauge. */
  set(metric: MetricDefinition, value: number, labels?: MetricLabels): void
  /** Adds one observation to a histogram. */
  observe(metric: MetricDefinition, value: number, labels?: MetricLabels): void
  /** Forgets the series with these labels (a deleted topic). */
  remove(metric: MetricDefinition, labels: MetricLabels): void
}
