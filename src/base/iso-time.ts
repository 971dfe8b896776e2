/** Times as people write them (ISO 8601): pure, because clocks and their types belong to the ports. */

const pattern =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:([Zz])|([+-])(\d\d):?(\d\d))?)?$/
const dayMs = 86_400_000
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const

/**
 * Wall ms of a date or a date with a time: `2026-11-27`, `2026-11-27T14:30Z`, `2026-11-27T14:30:05.25+01:00`. Without a zone it is UTC. Null for a text
 * that is none, or for a day that no calendar has.
 */
export function isoTimeMs(text: string): number | null {
  const parts = pattern.exec(text)
  if (parts === null) return null
  const number = (at: number): number => Number(parts[at] ?? 0)
  const [year, month, day] = [number(1), number(2), number(3)]
  const [hour, minute, second] = [number(4), number(5), number(6)]
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return null
  if (hour > 23 || minute > 59 || second > 59 || number(10) > 23 || number(11) > 59) return null
  const ms = Math.floor(Number(`0.${parts[7] ?? '0'}`) * 1000 + 1e-6)
  const zoneMs = (parts[9] === '-' ? -1 : 1) * (number(10) * 60 + number(11)) * 60_000
  return daysSince1970(year, month, day) * dayMs + ((hour * 60 + minute) * 60 + second) * 1000 + ms - zoneMs
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
}

function daysOf(year: number, month: number): number {
  return month === 2 && isLeap(year) ? 29 : (monthDays[month - 1] as number)
}

/** Days of the proleptic Gregorian calendar. */
function daysSince1970(year: number, month: number, day: number): number {
  const before = year - 1
  const days = before * 365 + Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400)
  let ofYear = day - 1
  for (let each = 1; each < month; each += 1) ofYear += daysOf(year, each)
  return days + ofYear - 719_162
}
