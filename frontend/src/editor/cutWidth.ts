/** How wide a cut is drawn: from 1 px to 6, by the logarithm of its bytes. */
export const cutWidth = (bytes: number): number => Math.min(6, 1 + Math.log10(Math.max(bytes, 1)) * 0.55);
