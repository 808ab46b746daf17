/** What can be chosen for how tensors travel, and the plan with such a choice. */
import type { CodecChoice } from "@/api/types";
import type { Codec } from "./codecs";
import type { Rest } from "./content";

export interface CodecWords {
  codec: Codec;
  title: string;
  what: string;
  lossless: boolean;
}

export const CODEC_WORDS: readonly CodecWords[] = [
  { codec: "none", title: "As it is", what: "Nothing is done: best on fast links.", lossless: true },
  { codec: "auto", title: "Automatic", what: "The fastest that keeps the answers within the allowed change, by what was measured of links and devices.", lossless: false },
  { codec: "lz4", title: "LZ4", what: "Lossless and quick.", lossless: true },
  { codec: "zstd", title: "Zstandard", what: "Lossless, smaller than LZ4, more work.", lossless: true },
  { codec: "rle", title: "Zeros left out", what: "Lossless: only what is not zero travels, as after a ReLU.", lossless: true },
  { codec: "fp16", title: "Half precision", what: "Half the bytes; changes answers very little.", lossless: false },
  { codec: "fp16+lz4", title: "Half precision, LZ4", what: "Smaller still where there are many zeros.", lossless: false },
  { codec: "fp16+zstd", title: "Half precision, Zstandard", what: "Smaller still, more work.", lossless: false },
  { codec: "int8", title: "8 bits by channel", what: "A quarter of the bytes; changes answers a little.", lossless: false },
  { codec: "int8+lz4", title: "8 bits by channel, LZ4", what: "Smaller still where there are many zeros.", lossless: false },
  { codec: "int8+zstd", title: "8 bits by channel, Zstandard", what: "The smallest that changes answers only a little.", lossless: false },
  { codec: "clip8+rle", title: "Clipped to 8 bits, zeros left out", what: "For activations after a ReLU (ADCNN).", lossless: false },
  { codec: "clip4+rle", title: "Clipped to 4 bits, zeros left out", what: "For activations after a ReLU (ADCNN): the smallest; answers may change.", lossless: false },
  { codec: "clip2+rle", title: "Clipped to 2 bits, zeros left out", what: "For networks that were trained for it.", lossless: false },
];

/** Whether a codec has bounds that a person may set. */
export const clips = (codec: Codec): boolean => codec.startsWith("clip");

/** Which tensors are meant: some from one place to another, or all between the two (`tensors` empty). */
export type CodecScope = Pick<CodecChoice, "producer" | "consumer" | "tensors">;

const speaksOf = (entry: CodecChoice, { producer, consumer, tensors }: CodecScope): boolean =>
  entry.producer === producer && entry.consumer === consumer && (tensors.length === 0 || (entry.tensors.length > 0 && entry.tensors.every((tensor) => tensors.includes(tensor))));

/** The plan's rest with another codec there; what was said of the same tensors before goes. */
export function withCodec(rest: Rest, scope: CodecScope, codec: Codec, bounds: Pick<CodecChoice, "low" | "high"> = { low: 0, high: null }): Rest {
  const kept = rest.codecs.filter((entry) => !speaksOf(entry, scope));
  const others = kept.some((entry) => entry.codec !== "none");
  // An entry that says "as it is" is needed only where another one would speak otherwise.
  const entry: CodecChoice = { ...scope, tensors: [...scope.tensors], codec, ...(clips(codec) ? bounds : { low: 0, high: null }) };
  return { ...rest, codecs: codec === "none" && !others ? kept : [...kept, entry] };
}
