/** Whether the studio was given another version of this page: parts that were not fetched yet are gone then. */

const scriptOf = (html: string): string | null => /<script[^>]+src="(\/assets\/[^"]+)"/.exec(html)?.[1] ?? null;

/** False also where nobody can say: the studio is away, or the page is not a built one. */
export async function isOutdated(mine: string = document.head.innerHTML): Promise<boolean> {
  const script = scriptOf(mine);
  if (script === null) return false;
  try {
    const answer = await fetch("/", { cache: "no-store", credentials: "same-origin" });
    const theirs = answer.ok ? scriptOf(await answer.text()) : null;
    return theirs !== null && theirs !== script;
  } catch {
    return false;
  }
}
