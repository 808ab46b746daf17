/** A place to cut a text, so that no letter falls apart: some are two units long. */
const between = (text: string, place: number): number => (/[\udc00-\udfff]/.test(text.charAt(place)) ? place - 1 : place);

/** The middle of a long name tells least: keep both ends. */
export function shorten(name: string, most = 26): string {
  return name.length <= most ? name : `${name.slice(0, between(name, 10))}…${name.slice(between(name, name.length - most + 11))}`;
}

/** What is longer is cut as text, too: no card has room for it. */
const MOST = 120;
const TAIL = 9;

/** Written from right to left: such a name has its end on the left. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** The end of a name that is always shown, and what may be left out before it; null for a name that is shown as it is. */
export function splitName(name: string): readonly [head: string, tail: string] | null {
  if (name.length <= 16 || RIGHT_TO_LEFT.test(name)) return null;
  const tail = between(name, name.length - TAIL);
  return [name.slice(0, Math.min(tail, between(name, MOST))), name.slice(tail)];
}
