import { describe, expect, it } from "vitest";
import { defaultAnswer, prefersJson } from "./denial.ts";

describe("an answer is in JSON", () => {
  it.each([
    undefined,
    "*/*",
    "application/json",
    "application/problem+json",
    "application/*",
    "Application/JSON;Q=0.5",
    "text/html, */*;q=0.1",
    "text/plain, application/json",
    "text/plain;q=0.5, application/json;q=0.6",
  ])("for %s", (accept) => {
    expect(prefersJson(accept)).toBe(true);
  });

  it.each([
    "",
    "text/plain",
    "text/html",
    "text/*",
    "text/plain, */*;q=0.5",
    "application/json;q=0, application/problem+json;q=0, */*",
    "application/json;q=x",
    ",;,;",
    `${",".repeat(10_000)};q=1`,
  ])("but not for %j", (accept) => {
    expect(prefersJson(accept)).toBe(false);
  });
});

it("is chosen by the first 1000 characters of what a client says, however much that is", () => {
  expect(prefersJson(`${",".repeat(900)}application/json`)).toBe(true);
  expect(prefersJson(`${",".repeat(1_000)}application/json`)).toBe(false);
  expect(prefersJson(`application/json${",text/plain".repeat(10_000)}`)).toBe(true);
});

it("says when waiting is of no use", () => {
  const decision = { retryAfterMs: Number.POSITIVE_INFINITY } as never;
  const denial = { limiter: "a", violated: ["a"], status: 429, retryAfterSeconds: undefined, decision } as const;
  const { body } = defaultAnswer({ reason: "quota-exceeded", ...denial }, "text/plain");
  expect(body).toBe("This request costs more than the limit ever allows.\n");
});
