/** A text to be copied: a command that the person runs, never the studio. */
import { ActionIcon, Tooltip } from "@mantine/core";
import { useClipboard } from "@mantine/hooks";
import { IconCheck, IconCopy } from "@tabler/icons-react";

export function CopyBox({ text, label }: { text: string; label: string }) {
  const { copied, copy } = useClipboard({ timeout: 2000 });
  return (
    <div className="copy-box">
      <pre tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
      <Tooltip label={copied ? "Copied" : "Copy"}>
        <ActionIcon variant="subtle" color="gray" onClick={() => copy(text)} aria-label={`Copy ${label}`}>
          {copied ? <IconCheck size={15} /> : <IconCopy size={15} />}
        </ActionIcon>
      </Tooltip>
      <span className="visually-hidden" role="status">
        {copied ? "Copied" : ""}
      </span>
    </div>
  );
}
