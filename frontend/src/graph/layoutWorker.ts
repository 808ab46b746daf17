/** The worker that lays networks out. Imports nothing: the first script of all has it begin, so that it is ready by the time that there is a network. */

let worker: Worker | null = null;

/** One that did not come, as while the studio is away, is given to nobody again. */
export function layoutWorker(): Worker {
  if (worker) return worker;
  const begun = new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" });
  begun.addEventListener("error", () => {
    if (worker === begun) worker = null;
  });
  return (worker = begun);
}
