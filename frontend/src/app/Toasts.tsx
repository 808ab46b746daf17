/** Where notes appear that belong to no place on the page. */
import { useNotifications } from "@mantine/notifications";
import { useState } from "react";
import { lazily } from "./lazily";

const Shelf = lazily(() => import("./ToastShelf").then(({ ToastShelf }) => ToastShelf));

/** What shows notes comes with the first of them, and stays. */
export function Toasts() {
  const { notifications } = useNotifications();
  const [wanted, setWanted] = useState(false);
  if (notifications.length > 0 && !wanted) setWanted(true);
  return wanted && <Shelf />;
}
