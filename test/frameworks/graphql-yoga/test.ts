import assert from "node:assert/strict";
import { check, startServer } from "../check.ts";

const { url, stop } = await startServer("server.ts");

interface Body {
  readonly data?: { readonly hello?: string; readonly search: readonly object[] };
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions: { readonly code: string; readonly retryAfterMs: number };
  }[];
}

async function ask(authorization: string, query: string): Promise<{ status: number; wait: string | null; body: Body }> {
  const headers = { "content-type": "application/json", accept: "application/graphql-response+json", authorization };
  const response = await fetch(`${url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
  return { status: response.status, wait: response.headers.get("retry-after"), body: await response.json() };
}

const search = '{ search(text: "a") { title } }';

await check("fields cost what the schema says, and over the limit the answer is a 429 with the wait", async () => {
  for (let i = 0; i < 3; i++) assert.equal((await ask("ann", search)).body.data?.search.length, 2);
  const { status, wait, body } = await ask("ann", search);
  assert.equal(status, 429);
  assert.ok(Number(wait) > 0 && Number(wait) <= 61);
  const { message, extensions } = body.errors![0]!;
  assert.equal(message, "Too many points.");
  assert.equal(extensions.code, "RATE_LIMITED");
  assert.ok(extensions.retryAfterMs > 0 && extensions.retryAfterMs <= 60_100);
});

await check("a cheaper query still fits, and another user has a limit of its own", async () => {
  assert.deepEqual((await ask("ann", "{ hello }")).body.data, { hello: "world" });
  assert.equal((await ask("bob", search)).status, 200);
});

await check("aliases and fragments cost as often as they are used", async () => {
  const spread = `{ ${"abcd".split("").map((name) => `${name}: search(text: "a") { ...F }`)} } fragment F on Hit { title }`;
  assert.equal((await ask("eve", spread)).status, 429);
});

await check("a query that isn't valid costs nothing", async () => {
  for (let i = 0; i < 120; i++) assert.equal((await ask("joe", "{ nothing }")).status, 400);
  assert.equal((await ask("joe", search)).status, 200);
});

stop();
