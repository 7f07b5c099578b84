// Many calls in one script: how they are given to it, and how its reply is read. The order of the arguments is
// described at BATCHED in lua/commands.js.

import { BATCH, SYNC_BATCH } from "./lua.generated.ts";
import { textFrom } from "./reply.ts";
import type { Script } from "./script.ts";

/** A call that names Redis keys which are all in one slot. */
export interface KeyedCall {
  readonly keys: readonly string[];
}

/** How calls of one kind are sent. */
export interface Sending<Call extends KeyedCall> {
  /** The script for a call that goes alone, and its arguments. */
  alone(call: Call): { readonly script: Script; readonly args: string[] };
  together<C extends Call>(calls: readonly C[]): Batch<C>;
}

export interface Batch<Call> {
  readonly script: Script;
  readonly keys: string[];
  readonly args: string[];
  /** The calls in the order of the replies. */
  readonly calls: readonly Call[];
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

export function sendingIncs(hasCallersClock: boolean): Sending<IncCall> {
  return {
    alone: ({ terms, own }) => ({ script: terms.command, args: [...terms.args, ...own] }),
    together: (calls) => incsTogether(calls, hasCallersClock),
  };
}

/** The calls to one key are together, in the order in which they were made. */
function incsTogether<Call extends IncCall>(calls: readonly Call[], hasCallersClock: boolean): Batch<Call> {
  const numbers = new Map<CallTerms, string>();
  const termArgs: string[] = [];
  for (const { terms } of calls) {
    if (numbers.has(terms)) continue;
    numbers.set(terms, String(numbers.size + 1));
    termArgs.push(terms.command.letter, ...terms.args);
  }
  const keys: string[] = [];
  const args = [hasCallersClock ? "1" : "0", String(numbers.size), ...termArgs];
  const ordered: Call[] = [];
  for (const ofKey of byKey(calls)) {
    keys.push(...ofKey[0]!.keys);
    pushRuns(args, ofKey, numbers);
    for (const call of ofKey) ordered.push(call);
  }
  return { script: BATCH, keys, args, calls: ordered };
}

function byKey<Call extends IncCall>(calls: readonly Call[]): Iterable<Call[]> {
  const groups = new Map<string, Call[]>();
  for (const call of calls) {
    const group = groups.get(call.keys[0]);
    if (group === undefined) groups.set(call.keys[0], [call]);
    else group.push(call);
  }
  return groups.values();
}

/** Adds the calls of one key: neighbours that are alike are a run. */
function pushRuns(args: string[], calls: readonly IncCall[], numbers: ReadonlyMap<CallTerms, string>): void {
  const place = args.push("") - 1;
  let runs = 0;
  let from = 0;
  while (from < calls.length) {
    const { terms } = calls[from]!;
    let to = from + 1;
    while (calls[to]?.terms === terms) to++;
    args.push(numbers.get(terms)!, String(to - from));
    for (; from < to; from++) args.push(...calls[from]!.own);
    runs++;
  }
  args[place] = String(runs);
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

export const sendingReports: Sending<ReportCall> = {
  alone: ({ command, args, clock }) => ({ script: command, args: [...args, ...clock] }),
  together: (calls) => ({
    script: SYNC_BATCH,
    keys: calls.flatMap(({ keys }) => keys),
    args: [...calls.flatMap(({ args }) => [String(args.length), ...args]), ...calls.at(-1)!.clock],
    calls,
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
