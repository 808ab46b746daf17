import { useEffect, useState } from "react";
import { roomIn } from "./camera";
import { DEVICES_WIDTH } from "./panels";
import type { Shape } from "./useLayout";

const HEADER_HEIGHT = 48;
/** Of the bar over the layers. */
const TRAIL_HEIGHT = 33;
const RESIZE_MS = 200;

/** The room that the network is wrapped into: it follows the window. Panels that come and go do not move the layers. */
export function useRoom(): Shape {
  const look = () => roomIn({ width: window.innerWidth - DEVICES_WIDTH, height: window.innerHeight - HEADER_HEIGHT - TRAIL_HEIGHT });
  const [room, setRoom] = useState(look);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const resized = () => {
      clearTimeout(timer);
      timer = setTimeout(() => setRoom(look()), RESIZE_MS);
    };
    window.addEventListener("resize", resized);
    return () => {
      clearTimeout(timer);
      window.removeEventListener("resize", resized);
    };
  }, []);
  return room;
}
