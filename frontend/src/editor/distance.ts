/** How far the view is from the network, and what can be read from there. */

/** Below it cards are too small to read, and one drawing stands for them. */
export const FAR_ZOOM = 0.35;
/** Below this the small print of a card cannot be read: its two names take all of the room. */
const MIDDLE_ZOOM = 0.66;

export type Distance = "near" | "middle" | "far";

export const distanceOf = (zoom: number): Distance => (zoom < FAR_ZOOM ? "far" : zoom < MIDDLE_ZOOM ? "middle" : "near");
