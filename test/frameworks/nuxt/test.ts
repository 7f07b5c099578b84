import assert from "node:assert/strict";
import { check, checkCountdown, checkLastAndDenied, runProgram, startServer } from "../check.ts";

await runProgram("node_modules/nitropack/dist/cli/index.mjs", "build");
const { url, stop } = await startServer(".output/server/index.mjs");

await checkCountdown(url, 2);

await check("what a page fetches from its own server isn't counted", async () => {
  const response = await fetch(`${url}/page`);
  assert.deepEqual(await response.json(), { page: { hello: "world" } });
  assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], '"default";r=1');
});

await checkLastAndDenied(url);

stop();
