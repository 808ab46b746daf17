/** What a browser without the studio's cookie sees: the whole page before it has shown anything, a dialog over the page after. */
import { useEffect, useRef } from "react";
import { Logo } from "./Logo";

const LOOK_EVERY_MS = 2000;

/** Ask now and then whether this browser has been signed in meanwhile: the link may be opened in another tab. */
function useSignedIn(done: () => void): void {
  useEffect(() => {
    let over = false;
    const look = () => {
      fetch("/api/studio", { credentials: "same-origin" }).then(
        ({ ok }) => {
          if (ok && !over) done();
        },
        () => undefined,
      );
    };
    const timer = setInterval(look, LOOK_EVERY_MS);
    window.addEventListener("focus", look);
    return () => {
      over = true;
      clearInterval(timer);
      window.removeEventListener("focus", look);
    };
  }, [done]);
}

export function SignedOut({ done }: { done: () => void }) {
  useSignedIn(done);
  return (
    <main className="center notice" data-testid="signed-out">
      <Logo size={44} />
      <h1>This browser is not signed in</h1>
      <p>The studio lets in only who was given its link. On the machine where it runs, type</p>
      <pre>partition-studio link</pre>
      <p>and open the address that it prints. It works once, and signs this browser in.</p>
    </main>
  );
}

/** The page behind it stays as it is, with every edit. */
export function SignInAgain({ done }: { done: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useSignedIn(done);
  const show = () => dialog.current?.showModal();
  useEffect(show, []);
  // A browser closes it at the second Escape without asking: what is behind it would save nothing, and nobody would know.
  return (
    <dialog ref={dialog} className="sign-in-again" aria-labelledby="sign-in-title" onCancel={(event) => event.preventDefault()} onClose={show} data-testid="sign-in-again">
      <h2 id="sign-in-title">Your sign-in has ended</h2>
      <p>Your edits are kept here. On the machine where the studio runs, type</p>
      <pre tabIndex={0}>partition-studio link</pre>
      <p>and open the address that it prints in another tab of this browser. This page then goes on by itself, and saves your edits.</p>
      <p className="sign-in-waiting" role="status">
        Waiting for the sign-in…
      </p>
    </dialog>
  );
}
