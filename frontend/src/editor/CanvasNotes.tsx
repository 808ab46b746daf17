/** What is said over the canvas for a moment. */
import { usePreviewLabel } from "@/plan/preview";
import { useView } from "./view";

/** Says that the canvas shows another plan than the one under the hand. */
export function PreviewNote() {
  const label = usePreviewLabel();
  if (label === null || label === "") return null;
  return (
    <p className="preview-note" data-testid="preview-note">
      Looking at: {label}
    </p>
  );
}

/** What the last step did, where no device in view says it. */
export function FlashNote({ everywhere, unplaced }: { everywhere: boolean; unplaced: number }) {
  const flash = useView((view) => view.flash);
  if (flash === null || flash.refused || !(everywhere || (flash.device === "" && unplaced === 0))) return null;
  return (
    <p className="preview-note is-flash" data-testid="flash-note">
      {flash.device === "" ? flash.text : `${flash.device}: ${flash.text}`}
    </p>
  );
}
