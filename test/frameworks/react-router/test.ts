import assert from "node:assert/strict";
import { check, runProgram, startServer } from "../check.ts";

await runProgram("node_modules/@react-router/dev/bin.cjs", "build");
const { url, stop } = await startServer("node_modules/@react-router/serve/bin.cjs", "build/server/index.js");

/** Asks as a client whose address a proxy in front has told. */
function ask(address: string, path = "/"): Promise<Response> {
  return fetch(`${url}${path}`, { headers: { "x-forwarded-for": address } });
}

await check("each address has 60 requests a minute, and is told what is left", async () => {
  for (let left = 59; left >= 1; left--) {
    const response = await ask("192.0.2.1");
    assert.match(await response.text(), /<h1>hello world<\/h1>/);
    assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], `"default";r=${left}`);
  }
});

await check("the data of a page counts as the page does", async () => {
  const response = await ask("192.0.2.1", "/_.data");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], '"default";r=0');
});

await check("over the limit the answer is a 429 with the wait", async () => {
  const denied = await ask("192.0.2.1");
  assert.equal(denied.status, 429);
  assert.equal(denied.headers.get("content-type"), "application/problem+json");
  assert.ok(Number(denied.headers.get("retry-after")) > 0);
  assert.equal((await ask("192.0.2.2")).status, 200);
});

stop();
