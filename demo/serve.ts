// `npm run demo -- --serve`: the server alone, with a limit low enough to meet by hand.

import { type Counter, UserError } from "./options.ts";
import { type Limit, type Servers, startAlone } from "./servers.ts";

const WINDOW_MS = 10_000;
const LIMIT: Limit = { perSecond: 1, options: { windowMs: WINDOW_MS } };

/** @throws {UserError} when the port cannot be had, or there is no Redis */
export async function serve(counter: Counter, redisUrl: string | undefined, port: number): Promise<void> {
  const server = await startAlone(counter, LIMIT, redisUrl, port).catch((error) => {
    throw error.syscall === "listen" ? new UserError(refusal(port, error)) : error;
  });
  console.log(greeting(server));
  process.once("SIGINT", () => void server.close());
}

function greeting({ urls: [url], name }: Servers): string {
  const windowSeconds = WINDOW_MS / 1_000;
  const capacity = LIMIT.perSecond * windowSeconds;
  return `Listening on ${url}, limited by trypema's ${name}; Ctrl-C ends it.
Each address may make ${LIMIT.perSecond} request a second: ${capacity} in any ${windowSeconds} s. Try

  curl -i ${url}/absolute
  for i in $(seq 15); do curl -s -o /dev/null -w '%{http_code} ' ${url}/absolute; done; echo

and the same with ${url}/suppressed`;
}

function refusal(port: number, error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE")
    return `port ${port} is in use: choose another with --port <n>, or 0 for any free one`;
  return `cannot listen on port ${port}: ${error.message}`;
}
