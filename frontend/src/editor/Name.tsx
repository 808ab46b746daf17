/** A name on a card: where it has no room its middle is left out, which tells least. */
import { splitName } from "./shorten";

export function Name({ name }: { name: string }) {
  const parts = splitName(name);
  if (parts === null) return <span className="card-name" dir="auto">{name}</span>;
  return (
    <span className="card-name is-long">
      <span>{parts[0]}</span>
      <span>{parts[1]}</span>
    </span>
  );
}
