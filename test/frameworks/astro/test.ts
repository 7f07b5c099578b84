import assert from "node:assert/strict";
import { check, runProgram, startServer } from "../check.ts";

await runProgram("node_modules/astro/bin/astro.mjs", "build");
const { url, stop } = await startServer("dist/server/entry.mjs");

await check("each address has 60 requests a minute, and is told what is left", async () => {
  for (let left = 59; left >= 1; left--) {
    const response = await fetch(`${url}/hello`);
    assert.equal(await response.text(), "world");
    assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], `"default";r=${left}`);
  }
});

await check("a prerendered page isn't counted", async () => {
  const response = await fetch(url);
  assert.match(await response.text(), /<h1>hello<\/h1>/);
  assert.equal(response.headers.get("ratelimit"), null);
});

await check("over the limit the answer is a 429 with the wait", async () => {
  assert.equal((await fetch(`${url}/hello`)).status, 200);
  const denied = await fetch(`${url}/hello`);
  assert.equal(denied.status, 429);
  assert.equal(denied.headers.get("content-type"), "application/problem+json");
  assert.ok(Number(denied.headers.get("retry-after")) > 0);
});

stop();
