// `npx trypema limited`: which keys are denied most now, in all processes that track it.

import { hashOfKey, type LimitedKey, limitedKeysOf, MOST_KEYS, SPAN_MS } from "../../core/limited-keys.ts";
import { merged, NOTHING } from "../../core/sketch.ts";
import { type Command, type OptionTypes, readArguments, type Streams } from "../command.ts";
import { duration, grouped, printable, printableJson, table } from "../text.ts";
import { REDIS_HELP, REDIS_OPTIONS, targetFrom } from "./connect.ts";
import { KEY_HELP, KEY_OPTIONS, keyFrom } from "./key.ts";
import { Store } from "./store.ts";

const OPTIONS = { ...KEY_OPTIONS, ...REDIS_OPTIONS, json: { type: "boolean" } } as const satisfies OptionTypes;

const HELP = `Usage: npx trypema limited [options] [KEY...]

Prints the keys that were denied most in the last five to ten minutes, in all
processes that call trackLimitedKeys with this Redis and prefix. Where these
don't ask for plain keys, the list has the start of a key's SHA-256; each KEY
that is given is then shown by its name. A key that came into the list late may
have been denied less often than "denied" says, but never less than "at least".

Options:
${KEY_HELP}
${REDIS_HELP}
  --json             print JSON`;

export const limited: Command = { summary: "the keys that are denied most now", help: HELP, run };

async function run(args: readonly string[], { stdout }: Streams): Promise<number> {
  const { positionals, values } = readArguments(args, OPTIONS);
  const { json } = values;
  const names = await namesOf(positionals, values);
  const list = await Store.with(targetFrom(values), async (store) => limitedKeysOf(await readShared(store)));
  const named = list.map((one) => ({ ...one, key: names.get(one.key) ?? one.key }));
  const lines = json === true ? [printableJson({ limited: named })] : linesOf(named);
  stdout.write(`${lines.join("\n")}\n`);
  return 0;
}

/** The keys that are given, by what the list has in place of each: its hash, or the stored key itself. */
async function namesOf(given: readonly string[], values: Parameters<typeof keyFrom>[1]): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const name of given) {
    const key = await keyFrom(name, values);
    names.set(key, name).set(await hashOfKey(key), name);
  }
  return names;
}

async function readShared(store: Store) {
  return merged(await store.sharedDenials.addAndRead(NOTHING, MOST_KEYS, SPAN_MS), MOST_KEYS);
}

function linesOf(list: readonly LimitedKey[]): string[] {
  if (list.length === 0) return ["nothing was denied lately, or no process tracks it by trackLimitedKeys"];
  const rows = list.map(({ key, name, strategy, windowMs, denied, errorAtMost }) => [
    printable(key, 50),
    `${name === "" ? "" : `${printable(name)}, `}${strategy}, ${duration(windowMs)}`,
    grouped(denied),
    grouped(denied - errorAtMost),
  ]);
  return table(["key", "limit", "denied", "at least"], rows);
}
