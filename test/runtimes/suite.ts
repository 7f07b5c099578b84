// What every runtime runs: the smoke tests, and the conformance suite on what needs no server.

import { createLocalProvider } from "trypema";
import { createFakeRedisProvider } from "trypema/testing";
import { describeProvider } from "../contract/contract.ts";
import { runTests, type Summary } from "./vitest.ts";

export type { Summary };

/** Runs the suite, and what `declareMore` declares. */
export function runSuite(declareMore: () => void = () => {}): Promise<Summary> {
  return runTests(async () => {
    await import("./smoke.ts");
    describeProvider("Local", (options) => createLocalProvider(options));
    describeProvider("Redis, faked", (options) => createFakeRedisProvider(options));
    declareMore();
  });
}
