import assert from "node:assert/strict";
import { check, runProgram, startServer } from "../check.ts";

await runProgram("node_modules/vite/bin/vite.js", "build");
const { url, stop } = await startServer("build/index.js");

await check("each address has 60 requests a minute, and is told what is left", async () => {
  for (let left = 59; left >= 1; left--) {
    const response = await fetch(`${url}/hello`);
    assert.equal(await response.text(), "world");
    assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], `"default";r=${left}`);
  }
});

await check("a page that fetches from its own server counts once", async () => {
  const response = await fetch(url);
  assert.match(await response.text(), /<h1>hello world<\/h1>/);
  assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], '"default";r=0');
});

await check("over the limit the answer is a 429 with the wait", async () => {
  const denied = await fetch(url);
  assert.equal(denied.status, 429);
  assert.equal(denied.headers.get("content-type"), "application/problem+json");
  assert.ok(Number(denied.headers.get("retry-after")) > 0);
});

stop();
