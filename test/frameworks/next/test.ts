import assert from "node:assert/strict";
import { check, runProgram, startServer } from "../check.ts";

const NEXT = "node_modules/next/dist/bin/next";

await runProgram(NEXT, "build");
const { url, stop } = await startServer(NEXT, "start");

function ask(key?: string): Promise<Response> {
  return fetch(`${url}/answer`, {
    method: "POST",
    headers: key === undefined ? {} : { "x-api-key": key },
    body: "hello",
  });
}

/** Asks as a client whose address a proxy in front has told. */
function askAs(address: string, path = "/api/hello"): Promise<Response> {
  return fetch(`${url}${path}`, { headers: { "x-forwarded-for": address } });
}

/** Sends the form of the page as a browser without JavaScript does, and returns the text that it answers. */
async function sendForm(user: string, text: string): Promise<string> {
  const headers = { cookie: `user=${user}` };
  const page = await (await fetch(url, { headers })).text();
  const form = new FormData();
  for (const [input] of page.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    const value = /value="([^"]*)"/.exec(input)?.[1] ?? "";
    form.set(/name="([^"]*)"/.exec(input)![1]!, value.replaceAll("&quot;", '"').replaceAll("&amp;", "&"));
  }
  form.set("text", text);
  const answered = await (await fetch(url, { method: "POST", headers, body: form })).text();
  return /<output>(.*?)<\/output>/.exec(answered)?.[1] ?? answered;
}

await check("a route handler has a limit for each API key, and tells it", async () => {
  for (const left of [2, 1, 0]) {
    const response = await ask("one");
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { answer: "hello" });
    assert.match(response.headers.get("ratelimit")!, new RegExp(`"answers";r=${left};t=\\d+`));
  }
  const denied = await ask("one");
  assert.equal(denied.status, 429);
  assert.equal(denied.headers.get("content-type"), "application/problem+json");
  assert.ok(Number(denied.headers.get("retry-after")) <= 60);
  assert.equal((await ask("two")).status, 200);
});

await check("a request without an API key is answered with 400", async () => {
  assert.equal((await ask()).status, 400);
});

await check("proxy.ts has a limit for each address, before any route", async () => {
  for (let i = 59; i >= 0; i--) {
    const response = await askAs("192.0.2.2");
    assert.deepEqual(await response.json(), { hello: "world" });
    assert.match(response.headers.get("ratelimit")!, new RegExp(`"default";r=${i};t=`));
  }
  assert.equal((await askAs("192.0.2.2")).status, 429);
  assert.equal((await askAs("192.0.2.2", "/api/nowhere")).status, 429);
  assert.equal((await askAs("192.0.2.3", "/api/nowhere")).status, 404);
});

await check("proxy.ts meets only what its matcher names", async () => {
  assert.equal((await askAs("192.0.2.2", "/")).headers.get("ratelimit"), null);
});

await check("a server action has a limit for each user, and tells the wait", async () => {
  assert.equal(await sendForm("ann", "one"), "Thank you for: one");
  assert.equal(await sendForm("ann", "two"), "Thank you for: two");
  assert.match(await sendForm("ann", "three"), /^Too much at once. Try again in (60|5\d) s\.$/);
  assert.equal(await sendForm("bob", "one"), "Thank you for: one");
});

stop();
