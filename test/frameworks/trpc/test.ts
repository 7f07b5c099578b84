import assert from "node:assert/strict";
import { createTRPCClient, httpBatchLink, httpLink, TRPCClientError } from "@trpc/client";
import { check, startServer } from "../check.ts";
import type { AppRouter } from "./server.ts";

const { url, stop } = await startServer("server.ts");

function clientOf(authorization: string, link: typeof httpLink | typeof httpBatchLink = httpLink) {
  return createTRPCClient<AppRouter>({ links: [link({ url, headers: { authorization } })] });
}

function errorOf(call: Promise<unknown>): Promise<TRPCClientError<AppRouter>> {
  return call.then(
    () => assert.fail("it was admitted"),
    (error: TRPCClientError<AppRouter>) => error,
  );
}

await check("over the limit a call fails with TOO_MANY_REQUESTS and the wait", async () => {
  const ann = clientOf("ann");
  for (let i = 1; i <= 6; i++) assert.equal(await ann.add.mutate(), i);
  const error = await errorOf(ann.list.query());
  assert.ok(error instanceof TRPCClientError);
  assert.equal(error.data?.code, "TOO_MANY_REQUESTS");
  assert.equal(error.data?.httpStatus, 429);
  assert.ok(error.data.retryAfterMs! > 0 && error.data.retryAfterMs! <= 60_100);
});

await check("another user has a limit of its own, and a query costs less", async () => {
  const bob = clientOf("bob");
  for (let i = 0; i < 5; i++) await bob.add.mutate();
  for (let i = 0; i < 10; i++) assert.equal((await bob.list.query()).length, 11);
  assert.equal((await errorOf(bob.list.query())).data?.code, "TOO_MANY_REQUESTS");
});

await check("each call of a batch counts", async () => {
  const eve = clientOf("eve", httpBatchLink);
  const calls = Array.from({ length: 7 }, () => eve.add.mutate());
  const outcomes = await Promise.allSettled(calls);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    [...Array(6).fill("fulfilled"), "rejected"],
  );
});

stop();
