// What a command of `npx trypema` is, and how its arguments are read.

import { type ParseArgsConfig, parseArgs } from "node:util";
import { printable } from "./text.ts";

/** A program's streams. They are an argument, so that a test can give others. */
export interface Streams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream & {
    readonly isTTY?: boolean;
    readonly columns?: number;
    readonly rows?: number;
  };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

export interface Command {
  /** One line for the list of all commands. */
  readonly summary: string;
  /** What `--help` prints. */
  readonly help: string;
  /** @returns the exit code */
  run(args: readonly string[], streams: Streams): Promise<number>;
}

/** The command line is wrong: exit code 2. The message is one line and says what would do. */
export class UsageError extends Error {}

/** What was asked for can't be done: exit code 1. The message is one line. */
export class Failure extends Error {}

/** The options of a command, as `parseArgs` of Node takes them. */
export type OptionTypes = NonNullable<ParseArgsConfig["options"]>;

interface Arguments {
  readonly positionals: readonly string[];
  /** Texts and booleans by the names of the options. */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}

/** @throws {UsageError} */
export function readArguments(args: readonly string[], options: OptionTypes): Arguments {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    return { values: values as Arguments["values"], positionals };
  } catch (error) {
    throw usageErrorOf(error as Error & { code?: string }, options);
  }
}

function usageErrorOf({ code, message }: Error & { code?: string }, options: OptionTypes): UsageError {
  const [, name = ""] = /'(-[^\s']*)/.exec(message) ?? [];
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const known = Object.keys(options).map((option) => `--${option}`);
    return new UsageError(`${printable(name)} is no option here; there are ${known.join(", ")}`);
  }
  if (code !== "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") return new UsageError(printable(message));
  if (/does not take an argument/.test(message)) return new UsageError(`${printable(name)} takes no value`);
  return new UsageError(`${printable(name)} needs a value, such as ${printable(name.replace(/=.*/, ""))}=VALUE`);
}

/** The one of `known` that an option has as its value. @throws {UsageError} */
export function choice<T extends string>(option: string, value: string, known: readonly T[]): T {
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  throw new UsageError(`--${option} ${printable(value)}: expected one of ${known.join(", ")}`);
}
