/** Wall time as text, for code that has no `Date`. */

const dayMs = 86_400_000
const digits = (value: number, count: number): string => String(value).padStart(count, '0')

/** RFC 3339 in UTC with milliseconds: `2026-01-31T06:00:00.000Z`, for times from 1970 to 9999. */
export function wallText(wallMs: number): string {
  const wholeMs = Math.min(Math.max(0, Math.floor(wallMs)), 253_402_300_799_999)
  const days = Math.floor(wholeMs / dayMs)
  const ofDay = wholeMs - days * dayMs
  // Years that begin in March end with the leap day; eras of 400 years have 146,097 days.
  const fromMarch = days + 719_468
  const era = Math.floor(fromMarch / 146_097)
  const dayOfEra = fromMarch - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const seconds = Math.floor(ofDay / 1000)
  const time = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map((part) => digits(part, 2))
  return `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}T${time.join(':')}.${digits(ofDay % 1000, 3)}Z`
}
