// npm run demo: see options.ts for what it can be told.

import { HELP, parseCommand, UserError } from "./options.ts";
import { Screen } from "./screen.ts";
import { serve } from "./serve.ts";
import { show } from "./show.ts";

const SIGINT_EXIT_CODE = 130;

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
  if (command.name === "serve") return serve(command.port);
  const screen = new Screen(process.stdout, process.env);
  process.once("SIGINT", () => {
    screen.endDraft();
    process.exit(SIGINT_EXIT_CODE);
  });
  await show(screen, command.phaseSeconds);
}
