/** A problem that belongs to no place on the page. */
import { notifications } from "@mantine/notifications";
import { asProblem } from "@/api/client";

export function tellProblem(error: unknown): void {
  const { message, nextStep } = asProblem(error);
  tell(message, nextStep);
}

export function tell(message: string, nextStep: string): void {
  notifications.show({ color: "red", title: message, message: nextStep, autoClose: 10_000, "data-testid": "problem" });
}

/** Something that happened besides what was asked for. */
export function mention(title: string, message: string): void {
  notifications.show({ title, message, autoClose: 7000, "data-testid": "mention" });
}
