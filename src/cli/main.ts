#!/usr/bin/env node
// `npx trypema`: finds the command, and ends as a program on a command line should.

import { readFileSync } from "node:fs";
import { messageOf } from "../core/errors.ts";
import { type Command, Failure, type Streams, UsageError } from "./command.ts";
import { doctor } from "./redis/doctor.ts";
import { block, deleteKey, get, rate, unblock } from "./redis/key-commands.ts";
import { limited } from "./redis/limited.ts";
import { top } from "./redis/top.ts";
import { size } from "./size/command.ts";
import { printable } from "./text.ts";

const COMMANDS: Readonly<Record<string, Command>> = {
  ...{ size, get, block, unblock, delete: deleteKey, rate, top, limited, doctor },
};

const HELP = `Usage: npx trypema COMMAND [options]

Commands:
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
  .join("\n")}

npx trypema COMMAND --help says more of a command. --version prints the version.
Exit codes: 0 done; 1 it failed, or something is wrong; 2 wrong usage.`;

/** @returns the exit code */
async function main(args: readonly string[], streams: Streams): Promise<number> {
  const [name, ...rest] = args;
  const print = (text: string) => streams.stdout.write(`${text}\n`);
  if (name === "--version" || name === "-v") print(version());
  else if (name === "--help" || name === "-h" || name === "help") print(HELP);
  else if (name === undefined) streams.stderr.write(`${HELP}\n`);
  else return runCommand(name, rest, streams);
  return name === undefined ? 2 : 0;
}

async function runCommand(name: string, args: readonly string[], streams: Streams): Promise<number> {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  try {
    if (command === undefined) {
      const known = Object.keys(COMMANDS).join(", ");
      throw new UsageError(`${printable(name)} is no command; there are ${known}, and --help`);
    }
    const isAskedFor = (flag: string) => args.slice(0, endOfOptions(args)).includes(flag);
    if (!isAskedFor("--help") && !isAskedFor("-h")) return await command.run(args, streams);
    streams.stdout.write(`${command.help}\n`);
    return 0;
  } catch (error) {
    // The message of a system error may have the name of a file, and so anything.
    const isOwn = error instanceof UsageError || error instanceof Failure;
    const message = isOwn ? error.message : printable(messageOf(error), 500);
    streams.stderr.write(`trypema${command === undefined ? "" : ` ${name}`}: ${message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Where `--` is; after it there are no options. */
function endOfOptions(args: readonly string[]): number {
  const end = args.indexOf("--");
  return end === -1 ? args.length : end;
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

// Who reads may have enough, as `head` does. That is no failure.
process.stdout.on("error", (error: Error & { code?: string }) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});
process.stderr.on("error", () => {});

process.exitCode = await main(process.argv.slice(2), process);
