/** The language in which layers are found: words, `kind:conv`, `bytes > 1 MB`, `not`, quotes. All terms must hold. */
import { UNITS, type Quantity } from "./units";

/** What a layer is asked about. */
export interface Subject {
  name: string;
  kind: string;
  shape: readonly number[];
  macs: number;
  params: number;
  weights: number;
  bytes: number;
  /** Null where no profile tells. */
  seconds: number | null;
  joules: number | null;
  /** None: it is on no device. */
  devices: readonly string[];
  /** The blocks that hold it. */
  blocks: readonly string[];
  attributes: Readonly<Record<string, string>>;
  /** What is wrong with it under the plan. */
  warning: string | null;
  /** Divided into parts; its frames shared by replicas. */
  divided: boolean;
  replicated: boolean;
}

export interface QueryProblem {
  message: string;
  /** Which characters it speaks of: `[start, end)`. */
  start: number;
  end: number;
}

export type Parsed = { matches: (subject: Subject) => boolean; isEmpty: boolean; fields: ReadonlySet<Field>; problem?: never } | { problem: QueryProblem };

type Test = (subject: Subject) => boolean;
type Comparison = "<" | "<=" | ">" | ">=" | "=" | "!=";

interface FieldWords {
  /** What it is, for suggestions. */
  what: string;
  aliases: readonly string[];
  quantity?: Quantity;
}

export const FIELDS = {
  kind: { what: "what the layer does", aliases: ["op", "type"] },
  name: { what: "its name", aliases: [] },
  device: { what: "where it runs; none for nowhere", aliases: ["dev", "on"] },
  block: { what: "a block that holds it", aliases: ["in", "stage"] },
  shape: { what: "its output; 7x7 within it, ? for any", aliases: ["output"] },
  macs: { what: "multiply-accumulates", aliases: ["mac"], quantity: "count" },
  params: { what: "parameters", aliases: ["param", "parameters"], quantity: "count" },
  weights: { what: "bytes of its weights", aliases: ["weight"], quantity: "bytes" },
  bytes: { what: "bytes of its output", aliases: ["activation", "activations"], quantity: "bytes" },
  seconds: { what: "predicted time", aliases: ["time", "second"], quantity: "seconds" },
  joules: { what: "predicted energy", aliases: ["energy", "joule"], quantity: "joules" },
  attr: { what: "an attribute, as attr:strides=2", aliases: ["attribute", "attributes"] },
  is: { what: "unplaced, divided, replicated or wrong", aliases: [] },
} as const satisfies Record<string, FieldWords>;

export type Field = keyof typeof FIELDS;
type NumberField = "macs" | "params" | "weights" | "bytes" | "seconds" | "joules";

export const FIELD_NAMES = Object.keys(FIELDS) as Field[];

const STATES = {
  unplaced: ({ devices }) => devices.length === 0,
  divided: ({ divided }) => divided,
  replicated: ({ replicated }) => replicated,
  wrong: ({ warning }) => warning !== null,
} as const satisfies Record<string, Test>;

export const STATE_NAMES = Object.keys(STATES) as (keyof typeof STATES)[];

export function isNumeric(field: Field): field is NumberField {
  return "quantity" in FIELDS[field];
}

export function fieldNamed(word: string): Field | null {
  const lower = word.toLowerCase();
  return FIELD_NAMES.find((field) => field === lower || (FIELDS[field].aliases as readonly string[]).includes(lower)) ?? null;
}

class Wrong extends Error {
  constructor(readonly problem: QueryProblem) {
    super(problem.message);
  }
}

/** Whether `text` holds `part`; what ends in a digit is not found in a longer number, so that `layer3` is not `layer30`. */
function holds(text: string, part: string): boolean {
  const [low, wanted] = [text.toLowerCase(), part.toLowerCase()];
  const endsInDigit = /\d$/.test(wanted);
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, at + 1)) {
    if (!endsInDigit || !/\d/.test(low[at + wanted.length] ?? "")) return true;
  }
  return false;
}

const contains = (text: string, part: string): boolean => text.toLowerCase().includes(part.toLowerCase());
const isSame = (text: string, other: string): boolean => text.toLowerCase() === other.toLowerCase();

interface Value {
  text: string;
  quoted: boolean;
  start: number;
  end: number;
}

class Reader {
  private place = 0;
  readonly fields = new Set<Field>();

  constructor(private readonly text: string) {}

  read(): Test[] {
    const tests: Test[] = [];
    for (this.blank(); this.place < this.text.length; this.blank()) tests.push(this.term());
    return tests;
  }

  private blank(): void {
    this.take(/\s*/y);
  }

  private take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.place;
    const found = pattern.exec(this.text);
    if (found) this.place += found[0].length;
    return found;
  }

  private wrong(message: string, start: number, end = this.place): Wrong {
    return new Wrong({ message, start, end: Math.max(end, Math.min(start + 1, this.text.length)) });
  }

  private term(): Test {
    const start = this.place;
    const negation = this.take(/-(?=\S)|not(?=\s|$)/iy);
    if (!negation) return this.atom();
    this.blank();
    if (this.place >= this.text.length) throw this.wrong(`Write after “${negation[0]}” what must not be so.`, start);
    const test = this.atom();
    return (subject) => !test(subject);
  }

  private atom(): Test {
    const start = this.place;
    if (this.text[start] === '"') {
      const { text } = this.quoted();
      return (subject) => contains(wordsOf(subject), text);
    }
    // Two colons are part of a name, as exporters make them.
    const head = this.take(/([a-z]+)(:(?!:)|\s*(?:<=|>=|!=|=|<|>))/iy);
    if (head) {
      const field = fieldNamed(head[1] ?? "");
      if (field) return this.about(field, (head[2] ?? ":").trim(), start);
      throw this.wrong(`There is no field “${head[1] ?? ""}”. There are ${FIELD_NAMES.join(", ")}. To find the text itself, put it in quotes.`, start, start + (head[1]?.length ?? 1));
    }
    const sign = this.take(/[<>=!]=?/y);
    if (sign) throw this.wrong(`Write before “${sign[0]}” what is compared, as in bytes > 1 MB.`, start);
    const word = this.take(/[^\s"]+/y)?.[0] ?? "";
    return (subject) => contains(wordsOf(subject), word);
  }

  private about(field: Field, sign: string, start: number): Test {
    this.fields.add(field);
    this.blank();
    if (isNumeric(field)) return this.number(field, sign, start);
    if (sign !== ":" && sign !== "=" && sign !== "!=") throw this.wrong(`“${field}” is no number: write ${field}: and what it shall be.`, start);
    const test = this.words(field, sign !== ":", start);
    return sign === "!=" ? (subject) => !test(subject) : test;
  }

  private words(field: Exclude<Field, NumberField>, exact: boolean, start: number): Test {
    if (field === "shape") return this.shape(start);
    if (field === "attr") return this.attribute(start);
    const tests = this.values(field, start).map((value): Test => {
      const { text, quoted } = value;
      const found = exact ? isSame : field === "device" || field === "block" ? holds : contains;
      switch (field) {
        case "kind":
          return ({ kind }) => found(kind, text);
        case "name":
          return ({ name }) => found(name, text);
        case "device":
          if (!quoted && isSame(text, "none")) return STATES.unplaced;
          return ({ devices }) => devices.some((device) => found(device, text));
        case "block":
          return ({ blocks }) => blocks.some((block) => found(block, text));
        case "is":
          return this.state(value);
      }
    });
    return (subject) => tests.some((test) => test(subject));
  }

  private state({ text, start, end }: Value): Test {
    const name = STATE_NAMES.find((state) => isSame(state, text));
    if (name) return STATES[name];
    throw new Wrong({ message: `A layer can be ${STATE_NAMES.join(", ")}; not “${text}”.`, start, end });
  }

  /** One value, or several with commas between them, any of which may hold. */
  private values(field: Field, start: number): Value[] {
    const values: Value[] = [];
    do {
      const value = this.text[this.place] === '"' ? this.quoted() : this.plain(/[^\s",]+/y);
      if (!value) throw this.wrong(`Write after “${field}:” ${FIELDS[field].what}.`, start);
      values.push(value);
    } while (this.take(/,/y));
    return values;
  }

  private plain(pattern: RegExp): Value | null {
    const start = this.place;
    const found = this.take(pattern);
    return found ? { text: found[0], quoted: false, start, end: this.place } : null;
  }

  private quoted(): Value {
    const start = this.place;
    const found = this.take(/"([^"]*)"/y);
    if (!found) throw this.wrong("The quote has no end.", start, this.text.length);
    return { text: found[1] ?? "", quoted: true, start, end: this.place };
  }

  private shape(start: number): Test {
    const value = this.plain(/[^\s"]+/y);
    const sizes = value?.text.split(/[x×*]/i) ?? [];
    if (!value || sizes.some((size) => !/^(\d+|\?)$/.test(size))) throw this.wrong("Write a shape as 7x7 or 256x?x?.", value?.start ?? start);
    return ({ shape }) => shape.some((_, first) => first + sizes.length <= shape.length && sizes.every((size, i) => size === "?" || Number(size) === shape[first + i]));
  }

  private attribute(start: number): Test {
    const found = this.take(/([^\s"=]+)(?:=(?:"([^"]*)"|([^\s"]+)))?/y);
    if (!found) throw this.wrong("Write an attribute as attr:group or attr:strides=2.", start);
    const [, key = "", quoted, plain] = found;
    if (quoted === undefined && plain === undefined && this.text[this.place] === "=") throw this.wrong(`Write after “=” what ${key} shall be.`, start, this.place + 1);
    const wanted = partsOf(quoted ?? plain ?? "");
    return ({ attributes }) => Object.entries(attributes).some(([name, value]) => contains(name, key) && hasParts(partsOf(value), wanted));
  }

  private number(field: NumberField, sign: string, start: number): Test {
    let comparison = sign;
    if (sign === ":") comparison = this.take(/(<=|>=|!=|=|<|>)\s*/y)?.[1] ?? "=";
    if (this.take(/none(?=\s|$)/iy)) {
      const wanted = comparison !== "!=";
      return (subject) => (subject[field] === null) === wanted;
    }
    const begin = this.place;
    const found = this.take(/\d[\d_]*(\.\d+)?|\.\d+/y);
    if (!found) throw this.wrong(`Write a number after “${field} ${comparison}”, as ${exampleOf(field)}.`, start);
    if (this.take(/,\d*/y)) throw this.wrong("Write numbers as 1000 or 1.5, without commas.", begin);
    const factor = this.unit(field, begin);
    const value = Number(found[0].replaceAll("_", "")) * factor;
    // As it is shown: 1.2 MB is all that is rounded to it.
    const slack = 0.5 * factor * 10 ** -Math.max((found[1]?.length ?? 1) - 1, 0);
    return (subject) => {
      const own = subject[field];
      return own !== null && compare(own, comparison as Comparison, value, slack);
    };
  }

  private unit(field: NumberField, begin: number): number {
    const units = UNITS[FIELDS[field].quantity];
    const found = /\s*([a-zµμ]+)(?=\s|$)/iy;
    found.lastIndex = this.place;
    const word = found.exec(this.text);
    const name = word?.[1] ?? "";
    const meant = name.replace("μ", "µ").replace(/macs$/i, "");
    const known = Object.entries(units).find(([unit]) => isSame(unit, meant));
    if (known) {
      this.place = found.lastIndex;
      return known[1];
    }
    // One or two letters after a number are meant as its unit; a longer word is the next term.
    const joined = (name !== "" && name.length <= 2) || /^\S/.test(word?.[0] ?? this.text.slice(this.place, this.place + 1));
    const foreign = Object.values(UNITS).some((others) => Object.keys(others).some((unit) => isSame(unit, name)));
    if (joined || foreign) {
      this.take(/\s*\S*/y);
      throw this.wrong(`“${name || this.text.slice(begin, this.place)}” is no unit of ${field}: write ${Object.keys(units).join(", ")}.`, begin);
    }
    return 1;
  }
}

const exampleOf = (field: NumberField): string => ({ count: `${field} > 10M`, bytes: `${field} > 1 MB`, seconds: `${field} > 2 ms`, joules: `${field} > 5 mJ` })[FIELDS[field].quantity];

function compare(own: number, comparison: Comparison, value: number, slack: number): boolean {
  switch (comparison) {
    case "<":
      return own < value;
    case "<=":
      return own <= value;
    case ">":
      return own > value;
    case ">=":
      return own >= value;
    case "=":
      return Math.abs(own - value) < slack || own === value;
    case "!=":
      return Math.abs(own - value) >= slack && own !== value;
  }
}

const wordsOf = ({ kind, name, devices }: Subject): string => `${kind} ${name} ${devices.join(" ") || "unplaced"}`;

const partsOf = (value: string): string[] => (value.toLowerCase().match(/[^\s,[\]()×]+/g) ?? []).map((part) => part.replace(/(?<=\d)\.0+$/, ""));

/** One part may be any of them; several must follow one another. */
const hasParts = (parts: readonly string[], wanted: readonly string[]): boolean => wanted.length === 0 || parts.some((_, first) => wanted.every((part, i) => parts[first + i] === part));

export function parseQuery(text: string): Parsed {
  const reader = new Reader(text);
  try {
    const tests = reader.read();
    return { matches: (subject) => tests.every((test) => test(subject)), isEmpty: tests.length === 0, fields: reader.fields };
  } catch (error) {
    if (error instanceof Wrong) return { problem: error.problem };
    throw error;
  }
}
