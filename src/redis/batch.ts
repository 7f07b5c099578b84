// Many calls in one script: how they are given to it, and how its reply is read. The order of the arguments is
// described at BATCHED in lua/commands.js.

import { luaNumber } from "./commands.ts";
import { BATCH, PEEK, PEEK_BATCH, SYNC_BATCH } from "./lua.generated.ts";
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
  /** Which calls are told the time too, after their own replies. If any is, it comes once, after all replies. */
  readonly isToldTime?: readonly boolean[];
}

/** What calls are judged by. Calls that have the same object are alike, and a batch has it once. */
export class CallTerms {
  /** The script that decides about a call which goes alone. */
  readonly command: Script;
  /** The arguments that calls can have in common. */
  readonly args: readonly string[];
  #numbers: string | undefined;

  constructor(command: Script, args: readonly string[]) {
    this.command = command;
    this.args = args;
  }

  /** The arguments as JSON has them in a list. */
  get numbers(): string {
    this.#numbers ??= this.args.map(jsonNumber).join(",");
    return this.#numbers;
  }
}

/** JSON has no infinity, but a number that is too large is read as one. */
function jsonNumber(luaNumber: string): string {
  return luaNumber === "inf" ? "1e999" : luaNumber;
}

/** The terms of the calls of a batch, and what they are called there. */
export class TermsList {
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
  const terms = `[${list.all.map(({ numbers }) => `[${numbers}]`).join(",")}]`;
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
