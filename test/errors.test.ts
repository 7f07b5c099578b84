// docs/errors.md has a section for each code, and each message leads to it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalProvider, perMinute, TrypemaError, type TrypemaErrorCode } from "trypema";
import { Guard, type Notice, type NoticeCode } from "trypema/http";
import { describe, expect, it } from "vitest";
import type { WarningCode } from "../src/core/warning.ts";
import { ROOT } from "./support/process.ts";

/** The compiler holds these to the types: a code that is new or gone is an error here. */
const codes: Record<TrypemaErrorCode | NoticeCode | WarningCode, true> = {
  INVALID_RATE: true,
  INVALID_OPTION: true,
  INVALID_KEY: true,
  INVALID_COUNT: true,
  CAPACITY_BELOW_ONE: true,
  BACKEND_UNAVAILABLE: true,
  BACKEND_TIMEOUT: true,
  BACKEND_SCRIPT: true,
  MET_TWICE: true,
  NAME_SHARED: true,
  PROXY_UNNAMED: true,
  PROXIES_MISSING: true,
  PEER_UNKNOWN: true,
  KEY_MISSING: true,
  IPV6_WHOLE: true,
  BACKEND_AWAY: true,
  BACKEND_BACK: true,
  DEGRADED: true,
  RECOVERED: true,
  LISTENER_FAILED: true,
};

const page = readFileSync(join(ROOT, "docs", "errors.md"), "utf8");
const sections = page
  .split(/^### /m)
  .slice(1)
  .map((section) => ({ code: section.split("\n", 1)[0]!, text: section.split(/^## /m)[0]! }));

describe("the page of errors and notices", () => {
  it("has a section for each code, and for nothing else", () => {
    expect(sections.map(({ code }) => code).sort()).toEqual(Object.keys(codes).sort());
  });

  it.each(sections)("says the cause and the fix of $code", ({ text }) => {
    expect(text).toMatch(/\*\*Cause\.\*\* \S/);
    expect(text).toMatch(/\*\*Fix\.\*\* \S/);
  });
});

describe("a message", () => {
  it.each(Object.keys(codes))("of %s ends with the address of its section", (code) => {
    const { message } = new TrypemaError(code as TrypemaErrorCode, "key: got 5");
    expect(message).toBe(`key: got 5 (node_modules/trypema/docs/errors.md#${code.toLowerCase()})`);
  });

  it("of a notice ends with the address of its section", async () => {
    const notices: Notice[] = [];
    const options = { provider: createLocalProvider(), onNotice: (notice: Notice) => notices.push(notice) };
    const guards = [600, 5].map((count) => new Guard({ ...options, rate: perMinute(count) }));
    await guards[0]!.check({ raw: {}, method: "GET", path: "/", peerAddress: "::1", header: () => undefined });
    expect(notices.map(({ message }) => message.split(" ").at(-1))).toEqual([
      "(node_modules/trypema/docs/errors.md#name_shared)",
    ]);
  });
});
