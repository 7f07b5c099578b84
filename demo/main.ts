// npm run demo: see options.ts for what it can be told.

import { HELP, parseCommand, UserError } from "./options.ts";
import { Screen } from "./screen.ts";
import { serve } from "./serve.ts";
import { startServers } from "./servers.ts";
import { SHOW_LIMIT, show } from "./show.ts";

const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

// A reader that has had enough, such as `head`, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

try {
  await run(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
}

async function run(args: readonly string[]): Promise<void> {
  const command = parseCommand(args);
  if (command.name === "help") {
    process.stdout.write(HELP);
    return;
  }
  // By default SIGTERM would leave a Redis server of our own behind.
  process.once("SIGTERM", () => process.exit(SIGNAL_EXIT_CODES.SIGTERM));
  const { REDIS_URL } = process.env;
  const { counter } = command;
  if (command.name === "serve") return serve(counter, REDIS_URL, command.port);
  const screen = new Screen(process.stdout, process.env);
  process.once("SIGINT", () => {
    screen.endDraft();
    process.exit(SIGNAL_EXIT_CODES.SIGINT);
  });
  const servers = await startServers(counter, SHOW_LIMIT, REDIS_URL);
  try {
    await show(screen, servers, command.phaseSeconds);
  } finally {
    await servers.close();
  }
}
