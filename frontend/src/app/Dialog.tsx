/** A dialog that is there while it is shown; closing it gives the focus back to where it was. */
import type { ModalProps } from "@mantine/core";
import { useEffect, useState } from "react";
import { lazily } from "./lazily";

const Window = lazily<ModalProps>(() => import("./Window").then(({ Window: part }) => part));

export function Dialog(props: Omit<ModalProps, "opened">) {
  const [before] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    },
    [before],
  );
  return <Window centered {...props} opened returnFocus={false} />;
}
