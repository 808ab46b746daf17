/** The hidden input behind "Import": the same file can be chosen again, as its value is emptied. */
import type { RefObject } from "react";

interface PlanFileInputProps {
  input: RefObject<HTMLInputElement | null>;
  testId: string;
  take: (file: File) => void;
}

export function PlanFileInput({ input, testId, take }: PlanFileInputProps) {
  return (
    <input
      ref={input}
      type="file"
      accept="application/json,.json"
      hidden
      data-testid={testId}
      onChange={(event) => {
        const file = event.currentTarget.files?.[0];
        if (file) take(file);
        event.currentTarget.value = "";
      }}
    />
  );
}
