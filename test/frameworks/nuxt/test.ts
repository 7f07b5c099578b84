import assert from "node:assert/strict";
import { check, runProgram, startServer } from "../check.ts";

await runProgram("node_modules/nitropack/dist/cli/index.mjs", "build");
const { url, stop } = await startServer(".output/server/index.mjs");

await check("each address has 60 requests a minute, and is told what is left", async () => {
  for (let left = 59; left >= 2; left--) {
    const response = await fetch(`${url}/hello`);
    assert.deepEqual(await response.json(), { hello: "world" });
    assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], `"default";r=${left}`);
  }
});

await check("what a page fetches from its own server isn't counted", async () => {
  const response = await fetch(`${url}/page`);
  assert.deepEqual(await response.json(), { page: { hello: "world" } });
  assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], '"default";r=1');
});

await check("a request that no route answers counts, and has the fields", async () => {
  const response = await fetch(`${url}/nowhere`);
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], '"default";r=0');
});

await check("over the limit the answer is a 429 with the wait", async () => {
  const denied = await fetch(`${url}/hello`);
  assert.equal(denied.status, 429);
  assert.equal(denied.headers.get("content-type"), "application/problem+json");
  assert.ok(Number(denied.headers.get("retry-after")) > 0);
});

stop();
