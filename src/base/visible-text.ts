/** Text from outside on a screen: what could move the cursor, hide or turn what stands around it is shown as an escape. */

/** DEL, the C1 controls, line separators, and marks that are not seen or that turn text around. */
const hidden = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g

function escapeOf(mark: string): string {
  return `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** JSON escapes what is below U+0020 alone; the rest of what is not seen is escaped here. The value stays the same. */
export function visibleJson(json: string): string {
  return json.replace(hidden, escapeOf)
}

/** Plain text in one line. */
export function visibleText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return text.replace(/[\u0000-\u001f]/g, escapeOf).replace(hidden, escapeOf)
}
