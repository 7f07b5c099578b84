// What the promises of the contract have in common: the strategies, and the decisions and errors that are expected.

import type { Decision, TrypemaErrorCode } from "trypema";
import { expect } from "vitest";

export const STRATEGIES = ["absolute", "suppressed"] as const;

/** The usage of an unknown key. */
export const NOTHING = { total: 0, declined: 0, accepted: 0, limit: 0, suppressionFactor: 0 };

/** What a test can't do with a provider's types: pass what they forbid. */
export type Unchecked = (...args: unknown[]) => unknown;

/** The call throws, or its promise rejects, with that. */
export async function refused(call: () => unknown, code: string, message: RegExp): Promise<void> {
  const failure = await new Promise((resolve) => resolve(call())).then(
    () => "nothing was thrown",
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ name: "TrypemaError", code: code as TrypemaErrorCode });
  expect((failure as Error).message).toMatch(message);
}

/** `moreAfterMs` has tests of its own. */
const SOME_TIME: number = expect.any(Number);

export function admission(limit: number, remaining: number): Decision {
  return {
    outcome: "allowed",
    allowed: true,
    limit,
    remaining,
    retryAfterMs: 0,
    remainingAfterWaiting: remaining,
    suppressionFactor: 0,
    moreAfterMs: SOME_TIME,
    degraded: false,
  };
}

export function rejection(
  limit: number,
  remaining: number,
  retryAfterMs: number,
  remainingAfterWaiting: number,
): Decision {
  return {
    outcome: "rejected",
    allowed: false,
    limit,
    remaining,
    retryAfterMs,
    remainingAfterWaiting,
    suppressionFactor: 1,
    moreAfterMs: SOME_TIME,
    degraded: false,
  };
}

export function suppression(
  allowed: boolean,
  suppressionFactor: number,
  limit: number,
  remaining: number,
  retryAfterMs: number,
  remainingAfterWaiting: number,
): Decision {
  return {
    outcome: "suppressed",
    allowed,
    suppressionFactor,
    limit,
    remaining,
    retryAfterMs,
    remainingAfterWaiting,
    moreAfterMs: SOME_TIME,
    degraded: false,
  };
}
