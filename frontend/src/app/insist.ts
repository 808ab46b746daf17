/** Fetching a part of the page again and again, as while the studio is away: one that is missing must not break all others. */
const FIRST_MS = 1000;
const LONGEST_MS = 8000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function insist<T>(load: () => Promise<T>, wait: (ms: number) => Promise<void> = pause): Promise<T> {
  for (let ms = FIRST_MS; ; ms = Math.min(2 * ms, LONGEST_MS)) {
    try {
      return await load();
    } catch {
      await wait(ms);
    }
  }
}
