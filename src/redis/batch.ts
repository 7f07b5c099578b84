// Many calls in one script: how they are given to it, and how its reply is read. The order of the arguments is
// described at BATCHED in lua/commands.js.

import { BATCH, SYNC_BATCH, TAKE } from "./lua.generated.ts";
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
}

/** What a call is judged by. Calls that have the same object are alike, and send it once. */
export interface CallTerms {
  /** The script that decides about a call which goes alone, and what a batch calls it. */
  readonly command: Script & { readonly letter: string };
  /** The arguments that calls can have in common. */
  readonly args: readonly string[];
}

export interface IncCall extends KeyedCall {
  readonly terms: CallTerms;
  readonly keys: readonly [state: string, buckets: string];
  /** The arguments that are the call's own: the draw, and the caller's time. */
  readonly own: readonly string[];
}

/** How calls that count are sent. */
export function sendingIncs(hasCallersClock: boolean): Sending<IncCall> {
  return {
    alone: ({ terms, own }) => ({ script: terms.command, args: [...terms.args, ...own] }),
    together: (calls) => incsTogether(calls, hasCallersClock),
  };
}

/** One call of a take. */
export interface TakeAsk {
  readonly terms: CallTerms;
  readonly keys: readonly [state: string, buckets: string];
  /** For how long a denial blocks the key, or the draw of a suppressed limit. */
  readonly own: string;
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
export function sendingTakes(hasCallersClock: boolean): Sending<TakeCall> {
  const together = (takes: readonly TakeCall[]): Batch => {
    const { args, numbers } = headOf(
      takes.flatMap(({ asks }) => asks),
      hasCallersClock,
    );
    for (const { asks, isDenied, clock } of takes) {
      args.push(String(asks.length), isDenied ? "1" : "0");
      for (const { terms, own } of asks) args.push(numbers.get(terms)!, own);
      args.push(...clock);
    }
    return { script: TAKE, keys: takes.flatMap(({ keys }) => keys), args, order: takes.map((_, index) => index) };
  };
  return { together };
}

/** What the arguments begin with where many calls share a script: their terms, each once, and what these are called. */
function headOf(
  calls: readonly { readonly terms: CallTerms }[],
  hasCallersClock: boolean,
): { readonly args: string[]; readonly numbers: ReadonlyMap<CallTerms, string> } {
  const numbers = new Map<CallTerms, string>();
  const args = [hasCallersClock ? "1" : "0", ""];
  for (const { terms } of calls) {
    if (numbers.has(terms)) continue;
    numbers.set(terms, String(numbers.size + 1));
    args.push(terms.command.letter, ...terms.args);
  }
  args[1] = String(numbers.size);
  return { args, numbers };
}

/** The calls to one key are together, in the order in which they were made. */
function incsTogether(calls: readonly IncCall[], hasCallersClock: boolean): Batch {
  const { args, numbers } = headOf(calls, hasCallersClock);
  const keys: string[] = [];
  const order: number[] = [];
  for (const ofKey of byKey(calls)) {
    keys.push(...calls[ofKey[0]!]!.keys);
    const place = args.push("") - 1;
    args[place] = String(pushRuns(args, calls, ofKey, numbers));
    for (const index of ofKey) order.push(index);
  }
  return { script: BATCH, keys, args, order };
}

/** Which of the calls are to the same key. */
function byKey(calls: readonly IncCall[]): Iterable<number[]> {
  const groups = new Map<string, number[]>();
  for (const [index, { keys }] of calls.entries()) {
    const group = groups.get(keys[0]);
    if (group === undefined) groups.set(keys[0], [index]);
    else group.push(index);
  }
  return groups.values();
}

/** Adds the calls of one key: neighbours that are alike are a run. Returns how many runs there are. */
function pushRuns(
  args: string[],
  calls: readonly IncCall[],
  ofKey: readonly number[],
  numbers: ReadonlyMap<CallTerms, string>,
): number {
  let runs = 0;
  for (let from = 0; from < ofKey.length; runs++) {
    const { terms } = calls[ofKey[from]!]!;
    let to = from + 1;
    while (to < ofKey.length && calls[ofKey[to]!]!.terms === terms) to++;
    args.push(numbers.get(terms)!, String(to - from));
    for (; from < to; from++) args.push(...calls[ofKey[from]!]!.own);
  }
  return runs;
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
