/** Processes on the studio's own machine as devices: nothing has to be asked. */
import { call, client } from "@/api/client";
import { rememberDevice } from "@/api/queries";
import { localNames } from "./address";

async function add(name: string): Promise<void> {
  const body = { name, address: "local:", key_file: null, password: null, keep_password: false, trusted_fingerprint: null, cpus: null, memory_bytes: null, idle_power_w: null, busy_power_w: null };
  rememberDevice(await call(client.POST("/api/devices", { body })));
}

/** Add some under names that nobody has yet. Throws the first Problem. */
export async function addLocalDevices(taken: readonly string[], count: number): Promise<void> {
  await Promise.all(localNames(taken, count).map(add));
}
