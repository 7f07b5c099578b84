// `npm run demo -- --serve`: the server alone, with a limit low enough to meet by hand.

import { createLocalProvider, perSecond } from "trypema";
import { UserError } from "./options.ts";
import { type DemoServer, startServer } from "./server.ts";

const WINDOW_MS = 10_000;
const LIMIT_PER_SECOND = 1;

/** @throws {UserError} when the port cannot be had */
export async function serve(port: number): Promise<void> {
  const limiter = createLocalProvider({ windowMs: WINDOW_MS });
  const limit = perSecond(LIMIT_PER_SECOND);
  const server = await startServer((strategy, client) => limiter[strategy].inc(client, limit), port).catch((error) => {
    throw new UserError(refusal(port, error));
  });
  console.log(greeting(server));
  process.once("SIGINT", () => void server.close());
}

function greeting({ url }: DemoServer): string {
  const capacity = (LIMIT_PER_SECOND * WINDOW_MS) / 1_000;
  return `Listening on ${url}; Ctrl-C ends it.
Each address may make ${LIMIT_PER_SECOND} request a second: ${capacity} in any ${WINDOW_MS / 1_000} s. Try

  curl -i ${url}/absolute
  for i in $(seq 15); do curl -s -o /dev/null -w '%{http_code} ' ${url}/absolute; done; echo

and the same with ${url}/suppressed`;
}

function refusal(port: number, error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE")
    return `port ${port} is in use: choose another with --port <n>, or 0 for any free one`;
  return `cannot listen on port ${port}: ${error.message}`;
}
