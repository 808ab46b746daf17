/** Asked before a device is removed. */
import { call, client } from "@/api/client";
import { forgetDevice } from "@/api/queries";
import { mention } from "@/app/notify";
import { RemovalDialog } from "@/app/RemovalDialog";

export function RemoveDialog({ name, close }: { name: string; close: () => void }) {
  const remove = async () => {
    const { uninstalled, note } = await call(client.DELETE("/api/devices/{name}", { params: { path: { name } } }));
    forgetDevice(name);
    close();
    if (!uninstalled && note !== "") mention(`${name} is forgotten, but not cleaned`, note);
  };
  return (
    <RemovalDialog
      title={`Remove ${name}?`}
      loss="Its agent ends, what was installed there is deleted, and the studio forgets it. Layers placed on it keep their place in the plan until you move them."
      remove={remove}
      close={close}
    />
  );
}
