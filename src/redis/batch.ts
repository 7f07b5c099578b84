// Many calls in one script: how they are given to it, and how its reply is read. The order of the arguments is
// described at BATCHED in lua/commands.js.

import { luaNumber } from "./commands.ts";
import { BATCH, PEEK, PEEK_BATCH, SUPPRESSED_INC, SYNC_BATCH, TAKE } from "./lua.generated.ts";
import { numberFrom, textFrom } from "./reply.ts";
import type { Script } from "./script.ts";

/** A call that names Redis keys which are all in one slot. */
export interface KeyedCall {
  readonly keys: readonly string[];
}

/** How calls of one kind are sent. */
export interface Sending<Call extends KeyedCall> {
  /** The script for a call that goes alone, and its arguments; absent where that is a batch of one. */
  alone?(call: Call): { readonly script: Script; readonly args: string[] };
  together(calls: readonly Call[]): Batch;
}

export interface Batch {
  readonly script: Script;
  readonly keys: string[];
  readonly args: string[];
  /** For each reply, which of the calls it is for. */
  readonly order: readonly number[];
  /** Whether a reply of 0 says that it is the same as the one before. */
  readonly hasRepeats?: boolean;
  /** How many replies each call has, which are next to each other; absent where each has one. */
  readonly sizes?: readonly number[];
}

/** What calls are judged by. Calls that have the same object are alike, and a batch has it once. */
export class CallTerms {
  /** The script that decides about a call which goes alone. */
  readonly command: Script;
  /** The arguments that calls can have in common. */
  readonly args: readonly string[];
  #json: string | undefined;
  #padded: string | undefined;

  constructor(command: Script, args: readonly string[]) {
    this.command = command;
    this.args = args;
  }

  /** The arguments as a batch has them. */
  get json(): string {
    this.#json ??= `[${this.args.map(jsonNumber).join(",")}]`;
    return this.#json;
  }

  /** The arguments as takes have them: all terms have the same number of them. */
  get padded(): string {
    this.#padded ??= Array.from({ length: TERMS_OF_ASK }, (_, index) => jsonNumber(this.args[index] ?? "0")).join(",");
    return this.#padded;
  }
}

/** How many numbers the terms of an ask are. */
const TERMS_OF_ASK = SUPPRESSED_INC.arguments.length - SUPPRESSED_INC.ownOfCall;

/** JSON has no infinity, but a number that is too large is read as one. */
function jsonNumber(luaNumber: string): string {
  return luaNumber === "inf" ? "1e999" : luaNumber;
}

/** The terms of the calls of a batch, and what they are called there. */
class TermsList {
  readonly #numbers = new Map<CallTerms, number>();

  /** Adds terms unless the list has them, and returns their number. */
  add(terms: CallTerms): number {
    let number = this.#numbers.get(terms);
    if (number === undefined) {
      number = this.#numbers.size + 1;
      this.#numbers.set(terms, number);
    }
    return number;
  }

  /** In the order of their numbers. */
  get all(): readonly CallTerms[] {
    return [...this.#numbers.keys()];
  }
}

/** The Redis keys of a batch, those of each limited key once, and what the limited keys are called there. */
class KeyList {
  readonly keys: string[] = [];
  readonly #numbers = new Map<string, number>();

  /** Adds the Redis keys of a limited key unless the list has them, and returns its number. */
  add(keys: readonly [state: string, buckets: string]): number {
    let number = this.#numbers.get(keys[0]);
    if (number === undefined) {
      number = this.keys.push(...keys) / 2;
      this.#numbers.set(keys[0], number);
    }
    return number;
  }
}

export interface IncCall extends KeyedCall {
  readonly terms: CallTerms;
  readonly keys: readonly [state: string, buckets: string];
  /** The random number; undefined where the strategy needs none. */
  readonly draw: number | undefined;
  /** The caller's time; undefined where callers have no clock. */
  readonly nowMs: number | undefined;
}

/** How calls that count are sent. */
export function sendingIncs(hasCallersClock: boolean): Sending<IncCall> {
  return {
    alone({ terms, draw, nowMs }) {
      const args = [...terms.args];
      if (draw !== undefined) args.push(luaNumber(draw));
      if (nowMs !== undefined) args.push(luaNumber(nowMs));
      return { script: terms.command, args };
    },
    together: (calls) => incsTogether(calls, hasCallersClock),
  };
}

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
  /** The caller's time, where callers have clocks. */
  readonly clock: readonly string[];
}

/** How takes are sent. */
export const sendingTakes: Sending<TakeCall> = {
  together(takes) {
    const list = new TermsList();
    const names = new KeyList();
    const plan: number[] = [];
    const times: string[] = [];
    let run = 0;
    let before: TakeCall | undefined;
    for (const take of takes) {
      if (before === undefined || !isSameTake(take, before)) {
        run = plan.push(0, take.asks.length, take.isDenied ? 1 : 0) - 3;
        for (const { keys, terms, draw, blockMs } of take.asks) {
          plan.push(names.add(keys), 1 + (list.add(terms) - 1) * TERMS_OF_ASK, draw ?? blockMs);
        }
        times.push(...take.clock);
      }
      plan[run]!++;
      before = take;
    }
    return {
      script: TAKE,
      keys: names.keys,
      args: [jsonOfTakes(list.all, plan), ...times],
      order: takes.map((_, index) => index),
      sizes: takes.map(({ asks }) => asks.length),
    };
  },
};

/** The terms and the plan as `take.lua` reads them. */
function jsonOfTakes(terms: readonly CallTerms[], plan: readonly number[]): string {
  const firstRun = 2 + terms.length * TERMS_OF_ASK;
  return `[${[firstRun, ...terms.map(({ padded }) => padded), ...plan].join(",")}]`;
}

/** Whether takes ask the same of the same keys at the same time. */
function isSameTake(one: TakeCall, other: TakeCall): boolean {
  return (
    one.isDenied === other.isDenied &&
    one.clock[0] === other.clock[0] &&
    one.asks.length === other.asks.length &&
    one.asks.every(({ keys, terms, draw, blockMs }, index) => {
      const ask = other.asks[index]!;
      return keys[0] === ask.keys[0] && terms === ask.terms && draw === ask.draw && blockMs === ask.blockMs;
    })
  );
}

/** The calls to one key are together, in the order in which they were made. */
function incsTogether(calls: readonly IncCall[], hasCallersClock: boolean): Batch {
  const list = new TermsList();
  const plan: number[] = [hasCallersClock ? 1 : 0];
  const keys: string[] = [];
  const order: number[] = [];
  let before: readonly number[] = [];
  let stretch = 0;
  for (const ofKey of byKey(calls)) {
    const [state, buckets] = calls[ofKey[0]!]!.keys;
    keys.push(state, buckets);
    if (!areAlike(calls, ofKey, before)) {
      const runs = runsOf(calls, ofKey, list);
      stretch = plan.push(0, runs.length / 2, ...runs) - runs.length - 2;
    }
    before = ofKey;
    plan[stretch]!++;
    for (const index of ofKey) {
      order.push(index);
      const { draw, nowMs } = calls[index]!;
      if (draw !== undefined) plan.push(draw);
      if (nowMs !== undefined) plan.push(nowMs);
    }
  }
  const terms = `[${list.all.map(({ json }) => json).join(",")}]`;
  return { script: BATCH, keys, args: [terms, JSON.stringify(plan)], order, hasRepeats: true };
}

/** Which of the calls are to the same key. */
function byKey(calls: readonly IncCall[]): Iterable<number[]> {
  const groups = new Map<string, number[]>();
  for (let index = 0; index < calls.length; index++) {
    const key = calls[index]!.keys[0];
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [index]);
    else group.push(index);
  }
  return groups.values();
}

/**
 * The runs of the calls to one key: neighbours that are alike are a run. Each is two numbers, that of its terms and how
 * many calls it has.
 */
function runsOf(calls: readonly IncCall[], ofKey: readonly number[], list: TermsList): number[] {
  const runs: number[] = [];
  for (let from = 0; from < ofKey.length; ) {
    const { terms } = calls[ofKey[from]!]!;
    let to = from + 1;
    while (to < ofKey.length && calls[ofKey[to]!]!.terms === terms) to++;
    runs.push(list.add(terms), to - from);
    from = to;
  }
  return runs;
}

/** Whether two keys are called alike. */
function areAlike(calls: readonly IncCall[], ofKey: readonly number[], ofOther: readonly number[]): boolean {
  if (ofKey.length !== ofOther.length) return false;
  for (let at = 0; at < ofKey.length; at++) {
    if (calls[ofKey[at]!]!.terms !== calls[ofOther[at]!]!.terms) return false;
  }
  return true;
}

/** A report of a hybrid process about one key. */
export interface ReportCall extends KeyedCall {
  readonly command: Script;
  readonly keys: readonly [state: string, buckets: string, leases: string];
  /** The arguments, without the caller's time. */
  readonly args: readonly string[];
  /** The caller's time, where callers have clocks. The last report's is that of all in a batch. */
  readonly clock: readonly string[];
}

/** How reports are sent. */
export const sendingReports: Sending<ReportCall> = {
  alone: ({ command, args, clock }) => ({ script: command, args: [...args, ...clock] }),
  together: (calls) => ({
    script: SYNC_BATCH,
    keys: calls.flatMap(({ keys }) => keys),
    args: [...calls.flatMap(({ args }) => [String(args.length), ...args]), ...calls.at(-1)!.clock],
    order: calls.map((_, index) => index),
  }),
};

/** A look at one key. */
export interface PeekCall extends KeyedCall {
  /** The arguments, with the caller's time where callers have clocks. */
  readonly args: readonly string[];
}

/** How looks are sent. */
export const sendingPeeks: Sending<PeekCall> = {
  alone: ({ args }) => ({ script: PEEK, args: [...args] }),
  together: (calls) => ({
    script: PEEK_BATCH,
    keys: calls.flatMap(({ keys }) => keys),
    args: calls.flatMap(({ args }) => [String(args.length), ...args]),
    order: calls.map((_, index) => index),
  }),
};

/** The error that a reply in a batch stands for; undefined for any other reply. */
export function errorIn(reply: unknown): Error | undefined {
  const marked = reply instanceof Uint8Array ? textFrom(reply) : reply;
  if (typeof marked !== "string" || !marked.startsWith("!")) return undefined;
  const text = marked.slice(1);
  // Redis says of the script which line failed. Without that, what failed is about a key, or about the server.
  return new Error(/^[A-Z]+ /.test(text) ? text : `ERR Error running script (call to f_0): ${text}`);
}

/** Whether a reply in a batch says that it is the same as the one before. */
export function isSameAsBefore(reply: unknown): boolean {
  return !Array.isArray(reply) && numberFrom(reply) === 0;
}
