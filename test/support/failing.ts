// How tests call a limiter whose Redis is away.

import { setTimeout as sleep } from "node:timers/promises";
import { TrypemaError } from "trypema";
import { expect } from "vitest";

/** Far more than a caller may wait on a busy machine, and far less than the clients' own queues make it wait. */
const A_LITTLE_MS = 3_000;

/** The error of a call that has to fail, and in time. */
export async function failureOf(call: Promise<unknown>): Promise<TrypemaError> {
  const startMs = performance.now();
  const outcome: unknown = await call.catch((error) => error);
  expect(performance.now() - startMs).toBeLessThan(A_LITTLE_MS);
  if (!(outcome instanceof TrypemaError))
    throw new Error("it should have failed with a TrypemaError", { cause: outcome });
  return outcome;
}

/** Calls until one succeeds, as a service in use does. */
export async function recovery<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const result = await call().catch(() => undefined);
    if (result !== undefined) return result;
    await sleep(50);
  }
  throw new Error("did not recover");
}
