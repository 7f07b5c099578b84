// The commands about one key: get, block, unblock, delete, rate.

import type { Decision } from "../../core/types.ts";
import type { StoredLimit } from "../../redis/keys.ts";
import { type Command, Failure, type OptionTypes, readArguments, type Streams, UsageError } from "../command.ts";
import { duration, grouped, percent, printable, printableJson, roughDuration, table } from "../text.ts";
import { durationFrom, factorFrom, rateFrom } from "../units.ts";
import { REDIS_HELP, REDIS_OPTIONS, targetFrom } from "./connect.ts";
import { KEY_HELP, KEY_OPTIONS, keyFrom } from "./key.ts";
import { CHOICE_HELP, CHOICE_OPTIONS, type Choice, choiceFrom, nameOf, Store } from "./store.ts";

const OPTIONS = { ...REDIS_OPTIONS, ...CHOICE_OPTIONS, ...KEY_OPTIONS } as const satisfies OptionTypes;
const HELP = `Options:\n${CHOICE_HELP}\n${KEY_HELP}\n${REDIS_HELP}`;

/** What a command about a key is given. */
interface Request {
  readonly key: string;
  /** The argument after the key. */
  readonly argument: string;
  readonly chosen: Choice;
  /** Whether the key is meant as a limit for HTTP knows it. */
  readonly isHttp: boolean;
  readonly hardLimitFactor: number;
  readonly isJson: boolean;
}

type Work = (store: Store, request: Request) => Promise<readonly string[]>;

/** @param argumentName of the argument after the key; empty for none */
function commandOf(argumentName: string, work: Work, check: (argument: string) => void, extra: OptionTypes = {}) {
  return async (args: readonly string[], streams: Streams): Promise<number> => {
    const { positionals, values } = readArguments(args, { ...OPTIONS, ...extra });
    const expected = argumentName === "" ? 1 : 2;
    if (positionals.length !== expected) {
      throw new UsageError(
        `expected ${argumentName === "" ? "one argument, KEY" : `two arguments, KEY and ${argumentName}`}`,
      );
    }
    const [key = "", argument = ""] = positionals;
    const { json: isJson, "hard-limit-factor": hardLimitFactor = "1.5", http } = values;
    check(argument);
    const request = {
      key: await keyFrom(key, values),
      argument,
      chosen: choiceFrom(values),
      isHttp: http !== undefined,
      hardLimitFactor: factorFrom("--hard-limit-factor", hardLimitFactor),
      isJson: isJson === true,
    };
    const lines = await Store.with(targetFrom(values), (store) => work(store, request));
    streams.stdout.write(`${lines.join("\n")}\n`);
    return 0;
  };
}

const noCheck = () => {};

/** @throws {Failure} where nothing is stored */
async function storedLimits(store: Store, { key, chosen }: Request): Promise<readonly StoredLimit[]> {
  const limits = await store.limitsOf(key, chosen);
  if (limits.length > 0) return limits;
  throw new Failure(
    `nothing is stored of ${printable(key)}${Object.keys(chosen).length === 0 ? "" : " in such a limit"}`,
  );
}

interface StoredUsage extends StoredLimit {
  readonly limit: number | "unlimited";
  readonly used: number;
  readonly declined: number;
  readonly remaining: number | "unlimited";
  /** Null where the key has used more than the hard limit: then the program's factor is another one. */
  readonly suppressionFactor: number | null;
  readonly retryAfterMs: number;
  readonly blockedMs: number;
}

async function usageOf(store: Store, { key, hardLimitFactor }: Request, stored: StoredLimit): Promise<StoredUsage> {
  const limiter = store.limiter(stored, hardLimitFactor);
  const [usage, decision] = await Promise.all([limiter.get(key), limiter.isAllowed(key)]);
  // A decision tells what is left after the call that it is about.
  const remaining = decision.outcome === "allowed" ? decision.remaining + 1 : decision.remaining;
  const isOver = stored.strategy === "suppressed" && usage.accepted > usage.limit * hardLimitFactor;
  const finite = (number: number) => (number === Number.POSITIVE_INFINITY ? ("unlimited" as const) : number);
  return {
    ...stored,
    ...{ limit: finite(decision.limit), used: usage.accepted, declined: usage.declined },
    ...{ remaining: finite(remaining), suppressionFactor: isOver ? null : usage.suppressionFactor },
    ...{ retryAfterMs: decision.retryAfterMs, blockedMs: decision.blocked === true ? decision.retryAfterMs : 0 },
  };
}

async function getLines(store: Store, request: Request): Promise<readonly string[]> {
  const limits = await storedLimits(store, request);
  const usages = await Promise.all(limits.map((limit) => usageOf(store, request, limit)));
  if (request.isJson) return [printableJson({ key: request.key, limits: usages })];
  const amount = (number: number | "unlimited") => (number === "unlimited" ? "-" : grouped(number));
  const rows = usages.map((usage) => [
    nameOf(usage),
    ...[usage.used, usage.declined, usage.limit, usage.remaining].map(amount),
    usage.suppressionFactor === null ? "-" : percent(usage.suppressionFactor),
    usage.retryAfterMs === 0 ? "-" : roughDuration(usage.retryAfterMs),
    usage.blockedMs === 0 ? "-" : roughDuration(usage.blockedMs),
  ]);
  return table(["limit", "used", "declined", "of", "remaining", "denied now", "retry after", "blocked for"], rows);
}

export const get: Command = {
  summary: "what a key has used of each of its limits",
  help: `Usage: npx trypema get [options] KEY

Prints what a key has used of each limit that Redis has a state of it for: every
window, both strategies, all names. Changes nothing.

${HELP}
  --hard-limit-factor N
                     the hardLimitFactor of your provider, from which the
                     suppression follows; default 1.5
  --json             print JSON

Exit code 1 where nothing is stored of the key.`,
  run: commandOf("", getLines, noCheck, {
    json: { type: "boolean" },
    "hard-limit-factor": { type: "string" },
  }),
};

/** The limits to block a key in: those that are stored, or the one that is named, which needs no state. */
async function limitsToBlock(store: Store, { key, chosen, isHttp }: Request): Promise<readonly StoredLimit[]> {
  const stored = await store.limitsOf(key, chosen);
  if (stored.length > 0) return stored;
  const { windowMs, bucketMs = Math.min(100, windowMs ?? 100), strategy = "absolute" } = chosen;
  const { name = isHttp ? "default" : "" } = chosen;
  if (windowMs !== undefined) return [{ windowMs, bucketMs, strategy, name }];
  throw new Failure(
    `nothing is stored of ${printable(key)}; to block it before its first call say in which limit: --window TIME, ` +
      "and --bucket, --strategy and --limit where they aren't the defaults",
  );
}

const blockLines: Work = async (store, request) => {
  const ms = durationFrom("TIME", request.argument);
  const limits = await limitsToBlock(store, request);
  await Promise.all(limits.map((limit) => store.limiter(limit).block(request.key, ms)));
  return limits.map((limit) => `blocked for ${duration(ms)}: ${printable(request.key)} (${nameOf(limit)})`);
};

export const block: Command = {
  summary: "reject every call to a key for some time",
  help: `Usage: npx trypema block [options] KEY TIME

Rejects every call to a key from now on for TIME, such as 90s, 15min or 1h, in
each of its limits. What it has used stays. A key of which nothing is stored is
blocked in the limit that --window, --bucket (100ms), --strategy (absolute) and
--limit name.

${HELP}`,
  run: commandOf("TIME", blockLines, (time) => durationFrom("TIME", time)),
};

const unblockLines: Work = async (store, request) => {
  const limits = await storedLimits(store, request);
  return Promise.all(
    limits.map(async (limit) => {
      const limiter = store.limiter(limit);
      const before = await limiter.isAllowed(request.key);
      await limiter.unblock(request.key);
      const { allowed } = await limiter.isAllowed(request.key);
      const done = isBlocked(before) ? "unblocked" : "was not blocked";
      const atLimit = allowed || limit.strategy === "suppressed" ? "" : `, ${AT_ITS_LIMIT}`;
      return `${done}: ${printable(request.key)} (${nameOf(limit)})${atLimit}`;
    }),
  );
};

const AT_ITS_LIMIT =
  "which is at its limit: the next call is denied, and blocks again if the limit has a blockMs; see delete";

function isBlocked(decision: Decision): boolean {
  return decision.outcome === "rejected" && decision.blocked === true;
}

export const unblock: Command = {
  summary: "end a block, and keep what the key has used",
  help: `Usage: npx trypema unblock [options] KEY

Ends the block of a key in each of its limits. What it has used stays: a key
that is at its limit is denied and blocked again. Then use delete, which forgets
both.

${HELP}`,
  run: commandOf("", unblockLines, noCheck),
};

const deleteLines: Work = async (store, request) => {
  const limits = await storedLimits(store, request);
  const totals = await Promise.all(limits.map((limit) => store.limiter(limit).delete(request.key)));
  return limits.map(
    (limit, i) => `deleted: ${printable(request.key)} (${nameOf(limit)}), which had ${grouped(totals[i]!)}`,
  );
};

export const deleteKey: Command = {
  summary: "forget a key, a block of it included",
  help: `Usage: npx trypema delete [options] KEY

Forgets what a key has used, and its block, in each of its limits.

${HELP}`,
  run: commandOf("", deleteLines, noCheck),
};

const rateLines: Work = async (store, request) => {
  const rate = rateFrom(request.argument);
  const limits = await storedLimits(store, request);
  const before = await Promise.all(limits.map((limit) => store.limiter(limit).setRate(request.key, rate)));
  const lineOf = (limit: StoredLimit, old: number | undefined) => {
    if (old === undefined)
      return `has no rate, because it has used nothing: ${printable(request.key)} (${nameOf(limit)})`;
    const inWindow = (one: number) =>
      one === Number.POSITIVE_INFINITY ? "unlimited" : grouped((one * limit.windowMs) / 1_000);
    return `${inWindow(rate)} in place of ${inWindow(old)}: ${printable(request.key)} (${nameOf(limit)})`;
  };
  return limits.map((limit, i) => lineOf(limit, before[i]));
};

export const rate: Command = {
  summary: "give a key another rate",
  help: `Usage: npx trypema rate [options] KEY RATE

Gives a key another rate in each of its limits: 100/min, 5/s, 1000/h, 20000/d or
unlimited. A program that gives a rate with each call, as inc and HTTP limits
do, gives its own again with the next call.

${HELP}`,
  run: commandOf("RATE", rateLines, rateFrom),
};
