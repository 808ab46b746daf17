/** A name that is written where it stands: Enter takes it, Escape leaves it as it was. */
import { useCallback, useRef, useState } from "react";
import { LONGEST_NAME } from "@/app/names";

interface NameFieldProps {
  name: string;
  label: string;
  /** With the new name, null where it stays; and whether a key ended it. */
  done: (name: string | null, byKey: boolean) => void;
  testId: string;
}

/** For what stands where the name was written: it takes over the focus that a key would leave nowhere. */
export function useFocusAfter(): { ref: (element: HTMLElement | null) => void; ended: (byKey: boolean) => void } {
  const wanted = useRef(false);
  const ref = useCallback((element: HTMLElement | null) => {
    if (element && wanted.current) element.focus();
    if (element) wanted.current = false;
  }, []);
  const ended = useCallback((byKey: boolean) => {
    wanted.current = byKey;
  }, []);
  return { ref, ended };
}

export function NameField({ name, label, done, testId }: NameFieldProps) {
  const [text, setText] = useState(name);
  const end = (take: boolean, byKey: boolean) => {
    const wanted = text.trim();
    done(take && wanted !== "" && wanted !== name ? wanted : null, byKey);
  };
  return (
    <input
      className="plan-name-field"
      aria-label={label}
      maxLength={LONGEST_NAME}
      value={text}
      autoFocus
      onFocus={(event) => event.currentTarget.select()}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={() => end(true, false)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") end(true, true);
        else if (event.key === "Escape") end(false, true);
        else return;
        event.preventDefault();
      }}
      data-testid={testId}
    />
  );
}
