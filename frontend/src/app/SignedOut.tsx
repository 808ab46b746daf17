/** What a browser without the studio's cookie sees. */
import { Logo } from "./Logo";

export function SignedOut() {
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
