// `npx trypema doctor`: what would go wrong with limits in this Redis, and how to mend it.

import { type Command, type OptionTypes, readArguments, type Streams, UsageError } from "../command.ts";
import { printableJson } from "../text.ts";
import { REDIS_HELP, REDIS_OPTIONS, targetFrom } from "./connect.ts";
import { examine, type Finding } from "./examine.ts";
import { Store } from "./store.ts";

const OPTIONS = { ...REDIS_OPTIONS, json: { type: "boolean" } } as const satisfies OptionTypes;

const HELP = `Usage: npx trypema doctor [options]

Looks for what would go wrong with limits in a Redis: version, role, Cluster,
eviction, memory, the rights of the user, latency, clock, and the script cache.
For the rights it counts some calls to a key of its own, which is gone within
some seconds.

Options:
${REDIS_HELP}
  --json             print JSON

Exit code 1 where something is wrong.`;

export const doctor: Command = { summary: "what would go wrong with limits in a Redis", help: HELP, run };

async function run(args: readonly string[], { stdout }: Streams): Promise<number> {
  const { positionals, values } = readArguments(args, OPTIONS);
  if (positionals.length > 0) throw new UsageError("expected no argument; --url names the server");
  const { json } = values;
  const target = targetFrom(values);
  const findings = await Store.with(target, (store) => examine(store, target));
  const lines = json === true ? [printableJson(findings)] : findings.flatMap(linesOf);
  stdout.write(`${lines.join("\n")}\n`);
  return findings.some(({ state }) => state === "wrong") ? 1 : 0;
}

function linesOf({ state, about, text, mend }: Finding): string[] {
  const line = `${state.padEnd(6)} ${about}: ${text}`;
  return mend === undefined ? [line] : [line, `       → ${mend}`];
}
