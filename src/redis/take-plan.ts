// Takes in one script: how they are given to it. The order of the numbers is described at BATCHED in lua/commands.js.

import { type CallTerms, type KeyedCall, type Sending, TermsList } from "./batch.ts";
import { DIGITS, RUN_KINDS, SUPPRESSED_INC, TAKE } from "./lua.generated.ts";

/** One call of a take. */
export interface TakeAsk {
  readonly terms: CallTerms;
  readonly keys: readonly [state: string, buckets: string];
  /** Suppressed: the draw; undefined for an absolute limit. */
  readonly draw: number | undefined;
  /** Absolute: for how long a denial blocks the key; 0 for no block. */
  readonly blockMs: number;
}

/** Several calls that are decided as one. */
export interface TakeCall extends KeyedCall {
  readonly asks: readonly TakeAsk[];
  /** Whether a part of the take that is in other slots was denied. */
  readonly isDenied: boolean;
  /** The caller's time, where callers have clocks. Where they don't, {@link TELL_TIME} or nothing. */
  readonly clock: readonly string[];
}

/** In place of a time it asks for the server's, which comes after the replies to the asks. */
export const TELL_TIME = "";

/** How takes are sent. */
export const sendingTakes: Sending<TakeCall> = {
  together(takes) {
    const list = new TermsList();
    const names = new KeyList();
    const runs: Run[] = [];
    for (const take of takes) {
      const known = names.size;
      const keys = take.asks.map((ask) => names.add(ask.keys));
      if (!runs.at(-1)?.goesOnWith(take, keys, known)) runs.push(new Run(take, keys));
    }
    return {
      script: TAKE,
      keys: names.all,
      args: [textOf(runs, list), ...runs.flatMap(({ first }) => first.clock)],
      order: takes.map((_, index) => index),
      sizes: takes.map(({ asks }) => asks.length),
      isToldTime: takes.map(({ clock }) => clock[0] === TELL_TIME),
    };
  },
};

/** The Redis keys of takes, those of each limited key once, and what the limited keys are called there. */
class KeyList {
  readonly #states: string[] = [];
  readonly #buckets: string[] = [];
  readonly #numbers = new Map<string, number>();

  get size(): number {
    return this.#states.length;
  }

  /** Adds the Redis keys of a limited key unless the list has them, and returns its number. */
  add([state, buckets]: readonly [state: string, buckets: string]): number {
    let number = this.#numbers.get(state);
    if (number === undefined) {
      this.#buckets.push(buckets);
      number = this.#states.push(state);
      this.#numbers.set(state, number);
    }
    return number;
  }

  get all(): string[] {
    return [...this.#states, ...this.#buckets];
  }
}

/**
 * Takes in a row that ask alike: either all of them ask the same keys, or the number of a key grows by the same step
 * from take to take. Always holds: where it grows, each key is new to the script, so no take after it asks that key.
 */
class Run {
  readonly first: TakeCall;
  readonly #keys: readonly number[];
  readonly #kind: number;
  #count = 1;
  #steps: readonly number[];

  constructor(take: TakeCall, keys: readonly number[]) {
    this.first = take;
    this.#keys = keys;
    this.#kind = kindOf(take, keys);
    this.#steps = keys.map(() => 0);
  }

  get #isRow(): boolean {
    return this.#steps.some((step) => step > 0);
  }

  /** Adds a take if it fits. `known` is how many keys the script had without those of the take. */
  goesOnWith(take: TakeCall, keys: readonly number[], known: number): boolean {
    if (!isAlike(take, this.first)) return false;
    const steps = this.#count === 1 ? keys.map((key, index) => key - this.#keys[index]!) : this.#steps;
    const isStep = (key: number, index: number) =>
      key === this.#keys[index]! + this.#count * steps[index]! && (steps[index] === 0 || key > known);
    if (!keys.every(isStep)) return false;
    // Only simple takes may be a row, and a simple take has no key twice.
    const isRow = steps.some((step) => step > 0);
    if (isRow && !(this.#kind === RUN_KINDS.alike && new Set(keys).size === keys.length)) return false;
    this.#steps = steps;
    this.#count++;
    return true;
  }

  /** The numbers of the run, where `terms` has those of its asks. */
  numbers(terms: TermsList): number[] {
    const kind = this.#isRow ? RUN_KINDS.row : this.#kind;
    const asks = this.first.asks.flatMap((ask, index) => {
      const placeOfTerms = 1 + (terms.add(ask.terms) - 1) * TERMS_OF_ASK;
      return [this.#keys[index]!, this.#steps[index]!, placeOfTerms, ask.draw ?? ask.blockMs];
    });
    return [this.#count, this.first.asks.length, kind, ...asks];
  }

  /** The text of the only run, if it is plain (see BATCHED in lua/commands.js). */
  get plain(): string | undefined {
    if (this.#kind !== RUN_KINDS.alike || this.#isRow) return undefined;
    if (this.#count > MOST_PLAIN) return undefined;
    let text = String.fromCharCode(DIGITS.zero + this.#count);
    for (const { terms, blockMs } of this.first.asks) {
      const ofAsk = plainTextOf(terms);
      if (ofAsk === undefined || blockMs > 0) return undefined;
      text += ofAsk;
    }
    return text;
  }
}

/** How many takes the first character of a text can tell, which begins no JSON. */
const MOST_PLAIN = "[".charCodeAt(0) - DIGITS.zero - 1;

const COUNTS_OF_DIGITS = Object.values(DIGITS.counts);

const plainTexts = new WeakMap<CallTerms, { readonly text: string | undefined }>();

/** What plain takes are given of the terms of an ask; undefined where no plain take can ask so. */
function plainTextOf(terms: CallTerms): string | undefined {
  let known = plainTexts.get(terms);
  if (known === undefined) {
    const [windowMs, bucketMs, count, limit, rate] = terms.args.map(Number) as [number, number, number, number, number];
    const digits = [windowMs, bucketMs, count, limit].map((value, index) => digitsOf(value, COUNTS_OF_DIGITS[index]!));
    const isPlain = rate === (limit * 1_000) / windowMs && !digits.includes(undefined);
    known = { text: isPlain ? digits.join("") : undefined };
    plainTexts.set(terms, known);
  }
  return known.text;
}

/** A number in so many digits; undefined if it isn't whole, or too large. */
function digitsOf(value: number, count: number): string | undefined {
  if (!Number.isInteger(value) || value < 0 || value >= DIGITS.base ** count) return undefined;
  let text = "";
  for (let left = value; text.length < count; left = Math.floor(left / DIGITS.base)) {
    text = String.fromCharCode(DIGITS.zero + (left % DIGITS.base)) + text;
  }
  return text;
}

function textOf(runs: readonly Run[], list: TermsList): string {
  const plain = runs.length === 1 ? runs[0]!.plain : undefined;
  if (plain !== undefined) return plain;
  const plan = runs.flatMap((run) => run.numbers(list));
  const terms = list.all.map(padded);
  return `[${[2 + terms.length * TERMS_OF_ASK, ...terms, ...plan].join(",")}]`;
}

/** How many numbers the terms of an ask are. */
const TERMS_OF_ASK = SUPPRESSED_INC.arguments.length - SUPPRESSED_INC.ownOfCall;

/** Terms have zeros where those of the other strategy have more numbers. */
function padded({ numbers, args }: CallTerms): string {
  return numbers + ",0".repeat(TERMS_OF_ASK - args.length);
}

/** A simple take is a call for each ask, inside that of the ask before, and Lua allows 20 000 of them. */
const MOST_SIMPLE_ASKS = 1_000;

function kindOf({ asks, isDenied }: TakeCall, keys: readonly number[]): number {
  if (isDenied) return RUN_KINDS.deniedElsewhere;
  if (asks.length > MOST_SIMPLE_ASKS) return RUN_KINDS.other;
  const isAlike = asks.every(({ draw }) => draw === undefined) && new Set(keys).size === keys.length;
  return isAlike ? RUN_KINDS.alike : RUN_KINDS.other;
}

/** Whether takes ask the same at the same time, be it of other keys. */
function isAlike(one: TakeCall, other: TakeCall): boolean {
  return (
    one.isDenied === other.isDenied &&
    one.clock[0] === other.clock[0] &&
    one.asks.length === other.asks.length &&
    one.asks.every(({ terms, draw, blockMs }, index) => {
      const ask = other.asks[index]!;
      return terms === ask.terms && draw === ask.draw && blockMs === ask.blockMs;
    })
  );
}
