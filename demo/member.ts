// One of the servers that hold a limit together. Says where it listens, and clears the strategies that it is told to.

import type { Strategy } from "./server.ts";
import { type Limit, startAlone } from "./servers.ts";

const PATIENCE_MS = 1_000;

const { REDIS_URL } = process.env;
const limit: Limit = JSON.parse(process.argv[2]!);
const { urls, clear, close } = await startAlone("hybrid", limit, REDIS_URL);

process.on("message", async (strategy: Strategy) => {
  await clear(strategy);
  process.send!("cleared");
});
process.once("disconnect", () => {
  // Redis may be gone too, and is waited for then.
  setTimeout(() => process.exit(), PATIENCE_MS).unref();
  void close();
});
process.send!(urls[0]);
