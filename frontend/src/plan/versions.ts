/** The open plan in the versions that are put together: what the studio has, and what both sides began with. Pure. */
import { insist } from "@/app/insist";
import { EMPTY, sameContent, type Content } from "./content";
import type { Draft } from "./drafts";
import type * as merging from "./merge";
import type { Conflict, Merged } from "./merge";

type Choose = (key: string) => "mine" | "theirs";

export class Versions {
  /** What the studio has. */
  server: Content = EMPTY;
  /** What our edits and those of other windows are compared with; not what the studio has while something contradicts. */
  private base: Content = EMPTY;
  private merging: typeof merging | null = null;

  /** Have at hand what puts versions together: most pages never meet another one. */
  async wake(): Promise<void> {
    this.merging ??= await insist(() => import("./merge"));
  }

  /** The studio has this, and nothing contradicts it. */
  begin(content: Content): void {
    this.server = content;
    this.base = content;
  }

  differs(mine: Content): boolean {
    return !sameContent(mine, this.server);
  }

  /** Another window saved this: what comes of it and ours. */
  meet(mine: Content, theirs: Content): Merged {
    const merged = this.tools.merge(this.base, mine, theirs);
    this.base = this.tools.agreed(this.base, mine, theirs);
    this.server = theirs;
    return merged;
  }

  /** What comes of a draft and what is there now. */
  with({ base, mine }: Draft, now: Content): Merged {
    return this.tools.merge(base, mine, now);
  }

  /** A draft is part of ours from now on. */
  recall({ base, mine }: Draft): void {
    this.base = this.tools.agreed(base, mine, this.server);
  }

  /** What of ours contradicts what the studio has. */
  contradictions(mine: Content): readonly Conflict[] {
    const { conflicts } = this.tools.merge(this.base, mine, this.server);
    if (conflicts.length === 0) this.base = this.server;
    return conflicts;
  }

  /** The end of a contradiction: the plan with all of theirs, and with what was chosen. */
  settle(mine: Content, choose: Choose): { theirs: Content; chosen: Content } {
    const theirs = this.tools.merge(this.base, mine, this.server, () => "theirs").content;
    const chosen = this.tools.merge(this.base, mine, this.server, ({ key }) => choose(key)).content;
    this.base = this.server;
    return { theirs, chosen };
  }

  private get tools(): typeof merging {
    if (!this.merging) throw new Error("versions are put together before `wake`");
    return this.merging;
  }

  /** What a draft must say, so that a later page can go on. */
  draft(mine: Content): Pick<Draft, "base" | "mine"> {
    return { base: this.base, mine };
  }
}
