/** A name that is written where it stands: Enter takes it, Escape leaves it as it was. */
import { useState } from "react";

interface NameFieldProps {
  name: string;
  label: string;
  /** With the new name; null where it stays. */
  done: (name: string | null) => void;
  testId: string;
}

export function NameField({ name, label, done, testId }: NameFieldProps) {
  const [text, setText] = useState(name);
  const end = (take: boolean) => {
    const wanted = text.trim();
    done(take && wanted !== "" && wanted !== name ? wanted : null);
  };
  return (
    <input
      className="plan-name-field"
      aria-label={label}
      maxLength={120}
      value={text}
      autoFocus
      onFocus={(event) => event.currentTarget.select()}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={() => end(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") end(true);
        else if (event.key === "Escape") end(false);
        else return;
        event.preventDefault();
      }}
      data-testid={testId}
    />
  );
}
