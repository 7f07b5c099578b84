// `npm run demo -- --serve`: the server alone, with a limit low enough to meet by hand.

import { perSecond } from "trypema";
import type { Backend } from "./backend.ts";
import { UserError } from "./options.ts";
import { type Decide, type DemoServer, startServer } from "./server.ts";

export const SERVE_OPTIONS = { windowMs: 10_000 };
const LIMIT_PER_SECOND = 1;

/** @throws {UserError} when the port cannot be had */
export async function serve({ name, provider, close }: Backend, port: number): Promise<void> {
  const limit = perSecond(LIMIT_PER_SECOND);
  const decide: Decide = (strategy, client) => provider[strategy].inc(client, limit);
  const server = await startServer(decide, port).catch(async (error) => {
    await close();
    throw new UserError(refusal(port, error));
  });
  console.log(greeting(server, name));
  process.once("SIGINT", () => void Promise.all([server.close(), close()]));
}

function greeting({ url }: DemoServer, name: string): string {
  const windowSeconds = SERVE_OPTIONS.windowMs / 1_000;
  const capacity = LIMIT_PER_SECOND * windowSeconds;
  return `Listening on ${url}, limited by trypema's ${name}; Ctrl-C ends it.
Each address may make ${LIMIT_PER_SECOND} request a second: ${capacity} in any ${windowSeconds} s. Try

  curl -i ${url}/absolute
  for i in $(seq 15); do curl -s -o /dev/null -w '%{http_code} ' ${url}/absolute; done; echo

and the same with ${url}/suppressed`;
}

function refusal(port: number, error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE")
    return `port ${port} is in use: choose another with --port <n>, or 0 for any free one`;
  return `cannot listen on port ${port}: ${error.message}`;
}
