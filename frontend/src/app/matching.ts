/** Which commands a few letters mean. Pure. */
import { COMMAND_GROUPS, type Command } from "./commands";

/** How well a word is found in a text: 0 as its beginning, 1 at the beginning of a word, 2 anywhere; null: not at all. */
function found(text: string, word: string): number | null {
  const place = text.indexOf(word);
  if (place < 0) return null;
  return place === 0 ? 0 : new RegExp(`(^|[^\\p{L}\\p{N}])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`, "u").test(text) ? 1 : 2;
}

/** Commands whose title or other words hold all words; the best first, those that can be done now before the others. Without words, by group. */
export function matching(commands: readonly Command[], text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = (command: Command) => COMMAND_GROUPS.indexOf(command.group);
  const rated = commands.flatMap((command, place) => {
    const title = command.title.toLowerCase();
    const rates = words.map((word) => found(title, word) ?? (found(`${command.words ?? ""} ${command.group}`.toLowerCase(), word) === null ? null : 3));
    if (rates.includes(null)) return [];
    return [{ command, place, rate: rates.reduce<number>((sum, rate) => sum + (rate ?? 0), 0), unable: command.unable == null ? 0 : 1 }];
  });
  const order = words.length === 0 ? (a: (typeof rated)[number], b: (typeof rated)[number]) => groups(a.command) - groups(b.command) || a.place - b.place : (a: (typeof rated)[number], b: (typeof rated)[number]) => a.unable - b.unable || a.rate - b.rate || a.place - b.place;
  return rated.sort(order).map(({ command }) => command);
}
