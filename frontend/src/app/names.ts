/** Names that people give to plans and networks. */

/** As many characters as the studio takes. */
export const LONGEST_NAME = 120;

/** The beginning of a name; no character is halved, as an emoji would be by `slice`. */
export const cutName = (name: string, most = LONGEST_NAME): string => Array.from(name).slice(0, most).join("");
