/** The notes themselves. */
import { Notifications } from "@mantine/notifications";
import "@mantine/notifications/styles.layer.css";

export function ToastShelf() {
  return <Notifications position="top-center" limit={3} />;
}
