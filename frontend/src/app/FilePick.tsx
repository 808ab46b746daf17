/** Choosing one file. The same can be chosen again, as after it was put right: a browser tells only of another one, so what was chosen is forgotten. */
import { FileButton } from "@mantine/core";
import { useRef, type ComponentProps, type ReactNode } from "react";

interface FilePickProps {
  label: string;
  accept: string;
  testId: string;
  take: (file: File) => void;
  /** The button, with what it needs to open the choice. */
  children: (props: { onClick: () => void }) => ReactNode;
}

export function FilePick({ label, accept, testId, take, children }: FilePickProps) {
  const forget = useRef<() => void>(null);
  const chosen = (file: File | null) => {
    if (!file) return;
    forget.current?.();
    take(file);
  };
  // React's types know no `data-` attributes of an object.
  const inputProps = { "aria-label": label, "data-testid": testId } as ComponentProps<"input">;
  return (
    <FileButton onChange={chosen} accept={accept} resetRef={forget} inputProps={inputProps}>
      {children}
    </FileButton>
  );
}
