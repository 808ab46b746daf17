/** The one WebSocket: hears what changed, tells the stores, and connects again when it is lost. */
import { asProblem, call, client, onSignedOut } from "@/api/client";
import { deploymentsQuery, forgetDevice, isGoing, queryClient, rememberDeployment, rememberDevice, rememberJob } from "@/api/queries";
import type { LiveEnvelope, LiveMessage } from "@/api/types";
import { isOutdated } from "@/app/newer";
import { forgetLive, forgetRuns, liveStore, recordLives, recordRun } from "./store";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8000;
/** After so long a silence the studio is asked whether it still is there: a network that is cut tells nobody. */
const SILENT_MS = 10_000;
/** What is not answered within this time is not there. */
const ANSWER_MS = 8000;

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

/** Networks tell by how many plans and runs they are used, and whether they are deployed. */
const usesChanged = (): void => void queryClient.invalidateQueries({ queryKey: ["models"] });

function receive(message: LiveMessage): void {
  switch (message.type) {
    case "batch":
      // Figures of many devices are one change of the store.
      recordLives(message.messages.flatMap((one) => (one.type === "device_live" ? [one.live] : [])));
      for (const one of message.messages) if (one.type !== "device_live") receive(one);
      return;
    case "device_live":
      recordLives([message.live]);
      return;
    case "device":
      rememberDevice(message.device);
      return;
    case "device_removed":
      forgetDevice(message.name);
      forgetLive(message.name);
      return;
    case "deployment":
      if (queryClient.getQueryData(deploymentsQuery.queryKey)?.find(({ id }) => id === message.deployment.id)?.state !== message.deployment.state) usesChanged();
      rememberDeployment(message.deployment);
      if (message.deployment.run) recordRun(message.deployment.run);
      else forgetRuns(message.deployment.id);
      return;
    case "run":
      // Its figures are in the live store; the history only needs to know of its beginning and end.
      if (liveStore.getState().runs[message.run.id]?.state !== message.run.state) {
        void queryClient.invalidateQueries({ queryKey: ["runs"] });
        usesChanged();
      }
      recordRun(message.run);
      return;
    case "models":
      void queryClient.invalidateQueries({ queryKey: ["models"] });
      // Another window may have chosen another form of an opened one.
      void queryClient.invalidateQueries({ queryKey: ["model"] });
      void queryClient.invalidateQueries({ queryKey: ["examples"] });
      // The plans of a removed one are gone with it.
      planListeners.forEach((listener) => listener("*"));
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
      usesChanged();
      planListeners.forEach((listener) => listener(message.model_id));
  }
}

let connectedBefore = false;

/** Fetch everything that may have changed unheard. */
function catchUp(): void {
  for (const key of ["studio", "models", "model", "examples", "devices", "deployments", "jobs", "links", "profiles", "predictions", "history", "search", "runs"]) void queryClient.invalidateQueries({ queryKey: [key] });
  planListeners.forEach((listener) => listener("*"));
  tellMeasured();
  call(client.GET("/api/live")).then(
    (snapshot) => recordLives(snapshot.devices),
    () => undefined,
  );
  // The page that connects first came from there just now.
  if (connectedBefore) void isOutdated().then((outdated) => liveStore.setState({ outdated }));
  connectedBefore = true;
}

const answers = (): Promise<unknown> => call(client.GET("/api/studio", { signal: AbortSignal.timeout(ANSWER_MS) }));

/** Connect, and stay connected until the returned function is called. */
export function connectLive(): () => void {
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let delay = FIRST_DELAY_MS;
  let sequence: number | null = null;
  let ended = false;
  /** Wakes when nothing was heard for too long; a new one for whatever is heard. */
  let watch: ReturnType<typeof setTimeout> | undefined;

  const lose = () => {
    if (ended) return;
    clearTimeout(watch);
    watch = undefined;
    liveStore.setState({ connection: "lost" });
    // A socket that is refused does not say why: the studio's answer to a request does, when it is the sign-in.
    answers().catch(() => undefined);
    timer = setTimeout(open, delay);
    delay = Math.min(delay * 2, LONGEST_DELAY_MS);
  };
  const drop = () => {
    if (!socket) return;
    // One that hangs closes only when the other side says so.
    socket.onclose = null;
    socket.close();
    lose();
  };
  const listen = () => {
    clearTimeout(watch);
    const mine = setTimeout(() => {
      const settle = (act: () => void) => () => {
        if (!ended && watch === mine) act();
      };
      answers().then(settle(listen), (error: unknown) => settle(asProblem(error).status === 0 ? drop : listen)());
    }, SILENT_MS);
    watch = mine;
  };
  const open = () => {
    const scheme = window.location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${window.location.host}/api/live/ws`);
    clearTimeout(watch);
    watch = setTimeout(drop, ANSWER_MS);
    socket.onopen = () => {
      listen();
      const again = liveStore.getState().connection !== "open";
      delay = FIRST_DELAY_MS;
      sequence = null;
      liveStore.setState({ connection: "open" });
      if (again) catchUp();
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      listen();
      const envelope = JSON.parse(event.data) as LiveEnvelope;
      if (sequence !== null && envelope.sequence > sequence + 1) catchUp();
      sequence = envelope.sequence;
      receive(envelope.message);
    };
    socket.onclose = lose;
  };
  const stop = () => {
    ended = true;
    clearTimeout(timer);
    clearTimeout(watch);
    socket?.close();
    // Whoever connects next has missed something.
    liveStore.setState({ connection: "connecting" });
  };
  const off = onSignedOut(stop);
  open();
  return () => {
    off();
    stop();
  };
}
