/** The middle of a long name tells least: keep both ends. */
export function shorten(name: string, most = 26): string {
  return name.length <= most ? name : `${name.slice(0, 10)}…${name.slice(-(most - 11))}`;
}
