/** Which names a topic may have (Kafka's Topic class). */
const nameLengthMax = 249

/** What is wrong with a topic name, as a sentence; null when it is lawful. */
export function topicNameFault(name: string): string | null {
  if (name === '') return 'the empty string is not allowed'
  if (name === '.' || name === '..') return "'.' or '..' is not allowed"
  if (name.length > nameLengthMax)
    return `the length of '${name}' is longer than the max allowed length ${nameLengthMax}`
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    return `'${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
  }
  return null
}

/** Names that differ only in `.` and `_` have one name in Kafka's metrics, so the second is refused. */
export function collisionKey(name: string): string {
  return name.replaceAll('.', '_')
}
