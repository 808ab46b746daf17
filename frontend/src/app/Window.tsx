/** Mantine's modal window, in a file of its own so that it comes with the first dialog. */
import "@/styles/devices.css";

export { Modal as Window } from "@mantine/core";
