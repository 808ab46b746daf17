/** The first Tab stop: past the header, to what the page is about. */
import type { MouseEvent } from "react";

function skip(event: MouseEvent): void {
  event.preventDefault();
  const target = document.querySelector<HTMLElement>("[data-layers]:not([hidden])") ?? document.querySelector<HTMLElement>("main");
  if (!target) return;
  if (!target.hasAttribute("tabindex")) target.tabIndex = -1;
  target.focus();
}

export function SkipLink() {
  return (
    <a className="skip-link" href="#content" onClick={skip}>
      Skip to the content
    </a>
  );
}
