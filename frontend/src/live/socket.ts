/** The one WebSocket: hears what changed, tells the stores, and connects again when it is lost. */
import { call, client, onSignedOut } from "@/api/client";
import { forgetDevice, isGoing, queryClient, rememberDeployment, rememberDevice, rememberJob } from "@/api/queries";
import type { LiveEnvelope, LiveMessage } from "@/api/types";
import { forgetLive, liveStore, recordLive, recordRun } from "./store";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8000;

const planListeners = new Set<(modelId: string) => void>();

/** Be told when saved plans of a model changed. */
export function onPlansChanged(listener: (modelId: string) => void): () => void {
  planListeners.add(listener);
  return () => planListeners.delete(listener);
}

const measuredListeners = new Set<() => void>();

/** Be told when devices or links were measured: predictions rest on it. */
export function onMeasured(listener: () => void): () => void {
  measuredListeners.add(listener);
  return () => measuredListeners.delete(listener);
}

const tellMeasured = (): void => measuredListeners.forEach((listener) => listener());

function receive(message: LiveMessage): void {
  switch (message.type) {
    case "device_live":
      recordLive(message.live);
      return;
    case "device":
      rememberDevice(message.device);
      return;
    case "device_removed":
      forgetDevice(message.name);
      forgetLive(message.name);
      return;
    case "deployment":
      rememberDeployment(message.deployment);
      if (message.deployment.run) recordRun(message.deployment.run);
      return;
    case "run":
      recordRun(message.run);
      return;
    case "models":
      void queryClient.invalidateQueries({ queryKey: ["models"] });
      // Another window may have chosen another form of an opened one.
      void queryClient.invalidateQueries({ queryKey: ["model"] });
      void queryClient.invalidateQueries({ queryKey: ["examples"] });
      return;
    case "job":
      rememberJob(message.job);
      // What a calibration found is part of its device.
      if (message.job.kind === "calibration" && !isGoing(message.job)) void queryClient.invalidateQueries({ queryKey: ["devices"] });
      if (message.job.kind === "search" && !isGoing(message.job)) void queryClient.invalidateQueries({ queryKey: ["search", message.job.id] });
      return;
    case "links":
      void queryClient.invalidateQueries({ queryKey: ["links"] });
      tellMeasured();
      return;
    case "profiles":
      void queryClient.invalidateQueries({ queryKey: ["profiles"] });
      void queryClient.invalidateQueries({ queryKey: ["predictions"] });
      tellMeasured();
      return;
    case "search":
      // Points may come faster than they are asked for: what is on its way will do.
      void queryClient.invalidateQueries({ queryKey: ["search", message.job] }, { cancelRefetch: false });
      return;
    case "plans":
      planListeners.forEach((listener) => listener(message.model_id));
  }
}

/** Fetch everything that may have changed unheard. */
function catchUp(): void {
  for (const key of ["studio", "models", "model", "examples", "devices", "deployments", "jobs", "links", "profiles", "history", "search"]) void queryClient.invalidateQueries({ queryKey: [key] });
  planListeners.forEach((listener) => listener("*"));
  tellMeasured();
  call(client.GET("/api/live")).then(
    (snapshot) => snapshot.devices.forEach((live) => recordLive(live)),
    () => undefined,
  );
}

/** Connect, and stay connected until the returned function is called. */
export function connectLive(): () => void {
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let delay = FIRST_DELAY_MS;
  let sequence: number | null = null;
  let ended = false;

  const open = () => {
    const scheme = window.location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${window.location.host}/api/live/ws`);
    socket.onopen = () => {
      const again = liveStore.getState().connection !== "open";
      delay = FIRST_DELAY_MS;
      sequence = null;
      liveStore.setState({ connection: "open" });
      if (again) catchUp();
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      const envelope = JSON.parse(event.data) as LiveEnvelope;
      if (sequence !== null && envelope.sequence > sequence + 1) catchUp();
      sequence = envelope.sequence;
      receive(envelope.message);
    };
    socket.onclose = () => {
      if (ended) return;
      liveStore.setState({ connection: "lost" });
      timer = setTimeout(open, delay);
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    };
  };
  const stop = () => {
    ended = true;
    clearTimeout(timer);
    socket?.close();
  };
  const off = onSignedOut(stop);
  open();
  return () => {
    off();
    stop();
  };
}
