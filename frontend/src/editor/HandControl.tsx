/** All that the hand needs while an editor is open, without anything to be seen: what to judge by, and what it can do by name. */
import { useEffect } from "react";
import type { Device, Model } from "@/api/types";
import type { Network } from "@/graph/network";
// With the first view: what is not kept from the first edit on, the figures, which come later, cannot show beside the new.
import "@/plan/steps";
import "@/styles/hand.css";
import { resetHand, setSetting } from "./hand";
import { useHandCommands } from "./useHandCommands";

interface HandControlProps {
  model: Model;
  network: Network;
  devices: readonly Device[];
}

export function HandControl({ model, network, devices }: HandControlProps) {
  useEffect(() => {
    setSetting({ network, boards: new Map(devices.map((device) => [device.name, device])) });
    return () => setSetting(null);
  }, [network, devices]);
  useEffect(() => resetHand, [model.id, model.simplified]);
  useHandCommands(model, network, devices);
  return null;
}
