/** A text to be copied: a command that the person runs, never the studio. */
import { ActionIcon, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { copyText } from "./copyText";

const SAID_MS = 2000;
const COPIED = "Copied";
const REFUSED = "This browser does not let the page copy: select the text, and copy it yourself.";

export function CopyBox({ text, label }: { text: string; label: string }) {
  const [said, setSaid] = useState("");
  const copied = said === COPIED;
  const copy = async () => setSaid((await copyText(text)) ? COPIED : REFUSED);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setSaid(""), SAID_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <div className="copy-box">
      <pre tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
      <Tooltip label={said || "Copy"}>
        <ActionIcon variant="subtle" color="gray" onClick={() => void copy()} aria-label={`Copy ${label}`}>
          {copied ? <IconCheck size={15} /> : <IconCopy size={15} />}
        </ActionIcon>
      </Tooltip>
      <span className="visually-hidden" role="status">
        {said}
      </span>
    </div>
  );
}
