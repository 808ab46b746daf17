/** Says that the page broke, instead of showing nothing. */
import { Component, type ReactNode } from "react";

interface State {
  error: Error | null;
}

export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: Error): State {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <main className="center notice" role="alert">
        <h1>The page has broken</h1>
        <p>{error.message}</p>
        <p>Your edits are saved in the studio, or kept in this browser until they are. Reload the page; if it happens again, report it with this sentence.</p>
        <button type="button" className="link" onClick={() => window.location.reload()}>
          Reload
        </button>
      </main>
    );
  }
}
