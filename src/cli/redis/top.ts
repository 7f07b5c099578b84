// `npx trypema top`: which keys use most of their limits. It walks the keys by SCAN in slices, with pauses between
// them.

import { setTimeout as sleep } from "node:timers/promises";
import { TrypemaError } from "../../core/errors.ts";
import type { Usage } from "../../core/types.ts";
import { type Command, choice, type OptionTypes, readArguments, type Streams, UsageError } from "../command.ts";
import { counted, dateTime, grouped, percent, printable, printableJson, table } from "../text.ts";
import { durationFrom } from "../units.ts";
import { placeOf, REDIS_HELP, REDIS_OPTIONS, type Target, targetFrom } from "./connect.ts";
import { Screen } from "./screen.ts";
import { CHOICE_HELP, CHOICE_OPTIONS, type Choice, choiceFrom, fits, nameOf, Store, type StoredKey } from "./store.ts";

const OPTIONS = {
  ...REDIS_OPTIONS,
  ...CHOICE_OPTIONS,
  by: { type: "string" },
  rows: { type: "string" },
  every: { type: "string" },
  json: { type: "boolean" },
} as const satisfies OptionTypes;

const ORDERS = ["share", "used", "declined"] as const;
type Order = (typeof ORDERS)[number];

/** So many keys are asked for at once, and after them comes a pause. */
const SLICE = 200;
const PAUSE_MS = 10;

const HELP = `Usage: npx trypema top [options]

Shows the keys that use most of their limits, again and again until q or Ctrl-C,
and once where stdout is no terminal. It walks all keys by SCAN, in
slices of ${SLICE} keys with pauses, so that it doesn't hold the server up.

Options:
  --by ORDER         share of the limit that is used (the default), used, or
                     declined, which the suppressed strategy alone counts
  --rows N           how many keys; default 20
  --every TIME       how often; default 2s
${CHOICE_HELP}
${REDIS_HELP}
  --json             print JSON, once`;

export const top: Command = { summary: "the keys that use most of their limits, live", help: HELP, run };

interface Settings {
  readonly target: Target;
  readonly chosen: Choice;
  readonly by: Order;
  readonly rows: number;
  readonly everyMs: number;
}

interface Row extends StoredKey {
  readonly used: number;
  readonly declined: number;
  readonly of: number;
}

interface Walk {
  readonly keys: number;
  /** Keys that bear the name of a limit's, and hold what this package hasn't written. */
  readonly foreignKeys: number;
  /** The first ones by the order. */
  readonly rows: readonly Row[];
}

async function run(args: readonly string[], streams: Streams): Promise<number> {
  const { positionals, values } = readArguments(args, OPTIONS);
  if (positionals.length > 0) throw new UsageError("expected no argument; --url names the server");
  const { by = "share", rows = "20", every = "2s", json } = values as Record<string, string | undefined>;
  if (!/^[1-9]\d{0,3}$/.test(rows))
    throw new UsageError(`--rows ${printable(rows)}: expected a whole number from 1 to 9999`);
  const order = choice("by", by, ORDERS);
  const everyMs = durationFrom("--every", every);
  const settings = { target: targetFrom(values), chosen: choiceFrom(values), by: order, rows: Number(rows), everyMs };
  return Store.with(settings.target, async (store) => {
    if (json === undefined && streams.stdout.isTTY === true) await watch(store, settings, streams);
    else await printOnce(store, settings, streams, json !== undefined);
    return 0;
  });
}

async function printOnce(store: Store, settings: Settings, { stdout }: Streams, isJson: boolean): Promise<void> {
  const walk = await walked(store, settings, () => false);
  const lines = isJson
    ? [printableJson({ keys: walk.keys, foreignKeys: walk.foreignKeys, top: walk.rows.map(jsonRow) })]
    : linesOf(walk);
  stdout.write(`${lines.join("\n")}\n`);
}

async function watch(store: Store, settings: Settings, streams: Streams): Promise<void> {
  const screen = new Screen(streams);
  try {
    while (!screen.isLeft) {
      const walk = await screen.unlessLeft(walked(store, settings, () => screen.isLeft));
      if (walk === undefined || screen.isLeft) return;
      const head = `${placeOf(settings.target)}, ${dateTime(Date.now())} UTC, ${grouped(walk.keys)} keys; q ends`;
      screen.draw([head, "", ...linesOf(walk)]);
      await screen.left(settings.everyMs);
    }
  } finally {
    screen.leave();
  }
}

/** Walks all keys once, or until it is stopped. */
async function walked(store: Store, { chosen, by, rows }: Settings, isStopped: () => boolean): Promise<Walk> {
  const first: Row[] = [];
  // SCAN may tell a key twice. These are the rows that there are.
  const seen = new Set<string>();
  let keys = 0;
  let foreignKeys = 0;
  for await (const page of store.pages()) {
    const wanted = page.filter(({ limit }) => fits(limit, chosen));
    for (let from = 0; from < wanted.length && !isStopped(); from += SLICE) {
      const slice = wanted.slice(from, from + SLICE);
      const usages = await Promise.all(slice.map((stored) => usageOf(store, stored)));
      for (const [index, stored] of slice.entries()) {
        const usage = usages[index];
        if (usage === undefined) foreignKeys++;
        if (usage === undefined || usage.total === 0) continue;
        keys++;
        rank(first, rowOf(stored, usage), { by, rows }, seen);
      }
      await sleep(PAUSE_MS);
    }
    if (isStopped()) break;
  }
  return { keys, foreignKeys, rows: first };
}

/** Undefined for a key that holds something else: one foreign key doesn't hide all others. */
async function usageOf(store: Store, { limit, key }: StoredKey): Promise<Usage | undefined> {
  try {
    return await store.limiter(limit).get(key);
  } catch (error) {
    if (error instanceof TrypemaError && error.code === "BACKEND_SCRIPT") return undefined;
    throw error;
  }
}

function rowOf(stored: StoredKey, { accepted, declined, limit }: Usage): Row {
  return { ...stored, used: accepted, declined, of: limit };
}

const VALUES: Readonly<Record<Order, (row: Row) => number>> = {
  share: ({ used, of }) => used / of,
  used: ({ used }) => used,
  declined: ({ declined }) => declined,
};

/** Puts a row to its place among the first ones. */
function rank(first: Row[], row: Row, { by, rows }: Pick<Settings, "by" | "rows">, seen: Set<string>): void {
  const value = VALUES[by];
  const isBefore = (one: Row, other: Row) =>
    value(one) > value(other) || (value(one) === value(other) && one.used > other.used);
  const last = first.at(-1);
  if (last !== undefined && first.length === rows && !isBefore(row, last)) return;
  const id = `${nameOf(row.limit)} ${row.key}`;
  if (seen.has(id)) return;
  seen.add(id);
  const at = first.findIndex((other) => isBefore(row, other));
  first.splice(at === -1 ? first.length : at, 0, row);
  if (first.length <= rows) return;
  const dropped = first.pop()!;
  seen.delete(`${nameOf(dropped.limit)} ${dropped.key}`);
}

function linesOf({ rows, foreignKeys }: Walk): string[] {
  const holding = `${counted(foreignKeys, "key")} ${foreignKeys === 1 ? "holds" : "hold"} something else`;
  const foreign = foreignKeys === 0 ? [] : [holding];
  if (rows.length === 0) return ["nothing is counted here", ...foreign];
  const cells = rows.map(({ key, limit, used, declined, of }) => [
    printable(key, 50),
    nameOf(limit),
    ...[used, declined].map(grouped),
    of === Number.POSITIVE_INFINITY ? "-" : grouped(of),
    percent(used / of),
  ]);
  return [...foreign, ...table(["key", "limit", "used", "declined", "of", "share"], cells)];
}

function jsonRow({ key, limit, used, declined, of }: Row): object {
  return { key, ...limit, limit: of === Number.POSITIVE_INFINITY ? "unlimited" : of, used, declined };
}
