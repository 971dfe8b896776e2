/** Names in messages of SASL (saslname of RFC 5801): a comma is `=2C`, an equals sign `=3D`, nothing else is escaped. */

/** Null for what is no name. */
export function readSaslName(text: string): string | null {
  if (text === '' || text.includes('\0') || /=(?!2C|3D)/.test(text)) return null
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

export function writeSaslName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C')
}
