// The suite as a program: for Node, Bun and Deno. Its argument is the address of a Redis server. The last line that it
// prints is its summary.

import { describeBunClient } from "./bun.ts";
import { runSuite } from "./suite.ts";

console.log(JSON.stringify(await runSuite(describeBunClient)));
