/** A list that begins short, and grows as far as it is wanted: a Concat has very many inputs, a network very many layers. */
import { useState, type ReactNode } from "react";
import { formatWhole } from "@/app/format";

const AT_FIRST = 12;
const AT_ONCE = 200;

interface ShortListProps<T> {
  className: string;
  label?: string;
  items: readonly T[];
  /** A list item, with its key. */
  draw: (item: T) => ReactNode;
}

export function ShortList<T>({ className, label, items, draw }: ShortListProps<T>) {
  const [shown, setShown] = useState(AT_FIRST);
  const rest = items.length - shown;
  return (
    <>
      <ul className={className} aria-label={label}>
        {items.slice(0, shown).map(draw)}
      </ul>
      {rest > 0 && (
        <button type="button" className="link" onClick={() => setShown(shown + AT_ONCE)}>
          {rest > AT_ONCE ? `${AT_ONCE} more of ${formatWhole(rest)}` : `${rest} more`}
        </button>
      )}
    </>
  );
}
