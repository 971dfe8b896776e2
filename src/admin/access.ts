/** Who may use the operator's surfaces: the same names, passwords and entries as at the doors of clients. `appliance.ts` fills it. */

/** Somebody who has proved who it is. */
export interface Caller {
  readonly principal: string
  readonly client: string
  /** What a token may do at most; null = whatever the principal may. */
  readonly role: string | null
  /** The token that was shown; null = something else was. */
  readonly tokenId: string | null
}

export interface TokenFacts {
  readonly id: string
  readonly principal: string
  readonly role: string
  readonly note: string
  readonly createdMs: number
  readonly expiresMs: number
}

export interface TokenWish {
  readonly principal: string
  readonly role: string
  readonly note: string
  readonly lifeMs: number
}

/** What set-up has done to the node that runs. */
export interface SetUpFacts {
  readonly principal: string
  /** `kafka.0`, `mqtt.0`, `http`: these asked for no name until now. */
  readonly closed: readonly string[]
  /** Connections that were open without a name. */
  readonly ended: number
  /** What counts from the next start on: `super.users` where somebody else decides about them already, `audit`. */
  readonly waits: readonly string[]
}

export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'refused'; readonly reason: string; readonly isRetriable: boolean }

export interface Access {
  /** Wrong ones take their time, are counted together with those of every door, and lock out in the end. */
  checkPassword(client: string, user: string, password: string): Promise<Caller | 'wrong' | 'busy'>
  checkToken(client: string, text: string): Promise<Caller | 'wrong'>
  /** The principal of a client's certificate (DER); null = no rule fits it. */
  ofCertificate(client: string, certificate: Uint8Array): Caller | null
  /** What the password or the token that the caller has shown is good by: it changes with the password. Null = neither is good any more. */
  credentialMark(caller: Caller): string | null
  /** Status, figures, lists. */
  mayView(caller: Caller): boolean
  /** Tokens and what else belongs to administrators. */
  mayAdminister(caller: Caller): boolean
  /** Set-up has run since the start: names are asked for, whatever the configuration of the start says. */
  isSetUp(): boolean
  /** Closes every listener that asks for no name; the caller is the admin. */
  setUp(caller: Caller): Outcome<SetUpFacts>
  tokens(): readonly TokenFacts[]
  /** The text of the new token is in the answer and nowhere else. */
  createToken(caller: Caller, wish: TokenWish): Promise<Outcome<TokenFacts & { readonly token: string }>>
  revokeToken(caller: Caller, id: string): Promise<Outcome<null>>
}
