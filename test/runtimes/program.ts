// The suite as a program: for Node, Bun and Deno. The last line that it prints is its summary.

import { runSuite } from "./suite.ts";

console.log(JSON.stringify(await runSuite()));
