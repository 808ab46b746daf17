/** Text for a spreadsheet's cell. Pure. */

const NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?\s?%?$/iu;
/** What a spreadsheet takes for a formula; some leave out what stands before it and cannot be seen. */
const FORMULA = /^[\s\p{C}]*[=+@|-]/u;

/** One line that stays text: a name from a file may look like a formula. */
export function cellText(text: string): string {
  const line = text.replace(/[\t\r\n]+/g, " ");
  return FORMULA.test(line) && !NUMBER.test(line) ? `'${line}` : line;
}
