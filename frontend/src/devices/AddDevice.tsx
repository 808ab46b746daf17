/** The dialog in which a device is added. */
import { Dialog } from "@/app/Dialog";
import { DeviceForm } from "./DeviceForm";

export default function AddDevice({ taken, close }: { taken: readonly string[]; close: () => void }) {
  return (
    <Dialog onClose={close} title="Add a device">
      <DeviceForm taken={taken} done={close} />
    </Dialog>
  );
}
