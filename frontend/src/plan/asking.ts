/** Asks about one value after the other as they come: at once after a rest, before anything is drawn; or at the pause of many. */
import type { Pace } from "./pace";

/** An older question is called off by a newer one. */
export class Asking<T> {
  private abort = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly pace: Pace,
    private readonly ask: (value: T, signal: AbortSignal) => void,
  ) {}

  about(value: T): void {
    this.in(this.pace.wait(performance.now()), value);
  }

  /** Ask about it after so many milliseconds, unless something newer comes. */
  in(wait: number, value: T): void {
    this.end();
    const { signal } = (this.abort = new AbortController());
    // A timer, even of 0 ms, would wait until the edit is drawn: the studio works meanwhile.
    if (wait === 0) this.ask(value, signal);
    else this.timer = setTimeout(() => this.ask(value, signal), wait);
  }

  end(): void {
    clearTimeout(this.timer);
    this.abort.abort();
  }
}
