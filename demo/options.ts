import { parseArgs } from "node:util";

/** What counts. */
export type Counter = "local" | "redis" | "hybrid";

export type Command =
  | { readonly name: "help" }
  | { readonly name: "serve"; readonly counter: Counter; readonly port: number }
  | { readonly name: "show"; readonly counter: Counter; readonly phaseSeconds: number };

/** Something that the user can put right: its message is all there is to say. */
export class UserError extends Error {}

export const HELP = `usage: npm run demo -- [options]

Starts an HTTP server on loopback, limits it with trypema, offers it less than the limit, as much
and far more, and shows what is admitted each second: first by the absolute strategy, then by the
suppressed one.

  --phase-seconds <n>  how long each of the six phases lasts, 1 to 600; default 9,
                       from 6 on they are measured
  --serve              only start the server and keep it listening, to be tried with curl
  --port <n>           where --serve listens, 0 to 65535; default 3000, 0 for any free port
  --redis              count in Redis: in the server that the environment variable REDIS_URL names
                       or, where that is not set, in a server that the demo starts and stops
  --hybrid             start four servers, each a process of its own, that hold one limit together:
                       each decides by itself, and all count in Redis, found as with --redis; with
                       --serve, start one server: it shares the limit with all of that REDIS_URL
  --help               this text
`;

/** @throws {UserError} */
export function parseCommand(args: readonly string[]): Command {
  const { help, serve, redis, hybrid, port, "phase-seconds": phaseSeconds } = parse(args);
  if (help) return { name: "help" };
  if (redis && hybrid) throw new UserError("--hybrid counts in Redis too: leave --redis out");
  const counter = hybrid ? "hybrid" : redis ? "redis" : "local";
  if (serve) {
    if (phaseSeconds !== undefined) throw new UserError("--phase-seconds is for the demo without --serve");
    return { name: "serve", counter, port: wholeNumber("--port", port ?? "3000", 0, 65_535) };
  }
  if (port !== undefined) throw new UserError("--port is for --serve: add that, or leave the port out");
  return { name: "show", counter, phaseSeconds: wholeNumber("--phase-seconds", phaseSeconds ?? "9", 1, 600) };
}

function parse(args: readonly string[]) {
  try {
    const string = { type: "string" } as const;
    const boolean = { type: "boolean" } as const;
    const flags = { help: boolean, serve: boolean, redis: boolean, hybrid: boolean };
    return parseArgs({ args: [...args], options: { ...flags, port: string, "phase-seconds": string } }).values;
  } catch (error) {
    // The first sentence says it; those that follow are about how to quote.
    const [sentence] = (error as Error).message.split(/\.\s/);
    throw new UserError(`${sentence}; --help lists the options`);
  }
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UserError(`${name}: got ${JSON.stringify(text)}, expected a whole number from ${least} to ${most}`);
}
