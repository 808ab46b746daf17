/** Keys as this machine's keyboard has them. */
import { spellKeys } from "./keys";

export function KeyCaps({ keys }: { keys: string }) {
  return (
    <span className="keys">
      {keys.split(" or ").map((combination) => (
        <kbd key={combination}>{spellKeys(combination)}</kbd>
      ))}
    </span>
  );
}
