/** What a search may go on with, from the fields there are and what occurs in this network and plan. */
import { FIELDS, FIELD_NAMES, fieldNamed, isNumeric, STATE_NAMES, type Field, type Subject } from "./query";

/** What occurs, and how often. */
export type Vocabulary = Readonly<Record<"kind" | "device" | "block" | "attr", ReadonlyMap<string, number>>>;

export interface Suggestion {
  /** Stands in for the text `[from, to)`. */
  text: string;
  from: number;
  to: number;
  /** What it is; a number: so many layers. */
  note: Note;
}

type Note = string | number;
type Word = readonly [word: string, note: Note];

const MOST = 8;

const count = <T>(lists: Iterable<Iterable<T>>): Map<T, number> => {
  const counts = new Map<T, number>();
  for (const list of lists) for (const word of new Set(list)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
};

export function vocabularyOf(subjects: readonly Subject[], devices: readonly string[]): Vocabulary {
  const onDevices = count(subjects.map((subject) => subject.devices));
  return {
    kind: count(subjects.map(({ kind }) => [kind])),
    // Devices without a layer are found, too.
    device: new Map([...new Set([...devices, ...onDevices.keys()])].map((device) => [device, onDevices.get(device) ?? 0])),
    block: count(subjects.map(({ blocks }) => blocks)),
    attr: count(subjects.map(({ attributes }) => Object.keys(attributes))),
  };
}

export const quote = (word: string): string => (/[\s",]/.test(word) ? `"${word.replaceAll('"', "")}"` : word);

/** Where the term at the caret begins; inside quotes blanks do not end it. */
function termStart(text: string, caret: number): number {
  let start = 0;
  let inQuotes = false;
  for (let i = 0; i < caret; i += 1) {
    if (text[i] === '"') inQuotes = !inQuotes;
    else if (!inQuotes && /\s/.test(text[i] ?? "")) start = i + 1;
  }
  return text[start] === "-" ? start + 1 : start;
}

/** Those that begin so before those that only hold it. */
function ranked(words: Iterable<Word>, part: string): Word[] {
  const low = part.toLowerCase();
  const place = ([word]: Word) => word.toLowerCase().indexOf(low);
  return [...words].filter((word) => place(word) >= 0).sort((a, b) => Math.min(place(a), 1) - Math.min(place(b), 1));
}

function valuesOf(field: Field, vocabulary: Vocabulary): Word[] {
  switch (field) {
    case "kind":
    case "device":
    case "block":
    case "attr": {
      const found = [...vocabulary[field]].map(([word, count]): Word => [quote(word), count]);
      return field === "device" ? [["none", "on no device"], ...found] : found;
    }
    case "is":
      return STATE_NAMES.map((state) => [state, ""]);
    default:
      return [];
  }
}

export function suggest(text: string, caret: number, vocabulary: Vocabulary): Suggestion[] {
  const from = termStart(text, caret);
  const term = text.slice(from, caret);
  // A number is being written, or its unit.
  const before = text.slice(0, from);
  if (term === "" || /[<>=]\s*$/.test(before) || /[<>=:]\s*[\d._]+\s*$/.test(before)) return [];
  const head = /^([a-z]+):(.*)$/is.exec(term);
  const field = head ? fieldNamed(head[1] ?? "") : null;
  if (head && field) {
    const part = (head[2] ?? "").split(",").at(-1) ?? "";
    const found = ranked(valuesOf(field, vocabulary), part.replaceAll('"', ""));
    return found
      .filter(([word]) => word.toLowerCase() !== part.toLowerCase())
      .slice(0, MOST)
      .map(([word, note]) => ({ text: word, from: caret - part.length, to: caret, note }));
  }
  const fields = ranked(
    FIELD_NAMES.map((name) => [isNumeric(name) ? `${name} > ` : `${name}:`, FIELDS[name].what]),
    term,
  ).filter(([word]) => word.startsWith(term.toLowerCase()));
  const values = (["kind", "device", "block"] as const).flatMap((name) => ranked(valuesOf(name, vocabulary), term).map(([word, note]) => [`${name}:${word}`, note] as const));
  return [...fields, ...values].slice(0, MOST).map(([word, note]) => ({ text: word, from, to: caret, note }));
}

/** Searches to begin with, made of what occurs. */
export function examples({ kind, device, block }: Vocabulary): { text: string; note: string }[] {
  const [often] = [...kind].sort((a, b) => b[1] - a[1]);
  const [first] = device.keys();
  const outer = [...block].sort((a, b) => b[1] - a[1])[0];
  return [
    { text: `kind:${often?.[0] ?? "Conv"} macs > 10M`, note: "heavy layers of a kind" },
    { text: "bytes > 1 MB", note: "large outputs: dear to send" },
    { text: "device:none", note: "not placed yet" },
    ...(first === undefined ? [] : [{ text: `device:${quote(first)} -kind:Relu`, note: "on a device, but not this kind" }]),
    ...(outer === undefined ? [] : [{ text: `block:${quote(outer[0])}`, note: "all of a block" }]),
    { text: "shape:7x7", note: "by the shape of the output" },
    { text: "attr:strides=2", note: "by an attribute" },
  ];
}
