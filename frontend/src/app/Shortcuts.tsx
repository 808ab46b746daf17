/** The list of keys: those of the commands as they are registered, so that it says what they do, and gestures. */
import { Switch } from "@mantine/core";
import { useStore } from "zustand";
import { COMMAND_GROUPS, useAllCommands, type Command } from "./commands";
import { Dialog } from "./Dialog";
import { KeyCaps } from "./KeyCaps";
import { GESTURES } from "./shortcuts";
import { singleKeys } from "./useCommandKeys";
import "../styles/palette.css";

export default function Shortcuts({ close }: { close: () => void }) {
  const commands = useAllCommands();
  const single = useStore(singleKeys, ({ on }) => on);
  return (
    <Dialog onClose={close} title="Keys and gestures" size={900}>
      <div className="shortcuts" data-testid="shortcuts">
        {COMMAND_GROUPS.map((group) => (
          <Group key={group} group={group} commands={commands.filter((command) => command.group === group && command.keys)} />
        ))}
      </div>
      <Switch
        className="shortcuts-single"
        size="xs"
        label="Keys without Ctrl"
        description="Switch them off if you dictate, or press keys by mistake. Ctrl K still finds every command."
        checked={single}
        onChange={(event) => singleKeys.setState({ on: event.currentTarget.checked })}
      />
    </Dialog>
  );
}

const SEND = "place.send.";

/** One line for all devices: each has its number. */
function joined(commands: readonly Command[]): Command[] {
  const sends = commands.filter(({ id }) => id.startsWith(SEND));
  const [first, last] = [sends[0], sends.at(-1)];
  const others = commands.filter(({ id }) => !id.startsWith(SEND));
  if (!first || !last || first === last) return [...commands];
  return [{ ...first, keys: `${first.keys ?? ""} … ${last.keys ?? ""}`, title: "Send the selection to the device of this number" }, ...others];
}

function Group({ group, commands }: { group: Command["group"]; commands: readonly Command[] }) {
  const gestures = GESTURES.find((one) => one.group === group)?.keys ?? [];
  if (commands.length + gestures.length === 0) return null;
  return (
    <section>
      <h3>{group}</h3>
      <dl>
        {joined(commands).map(({ id, keys = "", title }) => (
          <div key={id}>
            <dt>
              <KeyCaps keys={keys} />
            </dt>
            <dd>{title}</dd>
          </div>
        ))}
        {gestures.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              <KeyCaps keys={keys} />
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
