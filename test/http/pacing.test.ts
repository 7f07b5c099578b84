// A client that obeys the header fields and paces itself is never denied, and gets almost all of its limit.

import { parseDictionary, parseList } from "structured-headers";
import { createLocalProvider, type Provider, perMinute, seconds } from "trypema";
import { Guard, type HeaderForm, type HttpRequest, type LimiterDefinition } from "trypema/http";
import { createFakeRedisProvider, manualClock } from "trypema/testing";
import { describe, expect, it } from "vitest";

const HOUR_MS = 3_600_000;

interface Told {
  readonly remaining: number;
  /** Undefined where the fields don't say it. */
  readonly resetSeconds: number | undefined;
}

/** What the fields of a form say about each limiter, or about the one that they have room for. */
function toldBy(fields: readonly string[], form: HeaderForm): readonly Told[] {
  const value = (name: string) => fields[fields.indexOf(name) + 1]!;
  if (form === "draft-10") {
    return parseList(value("ratelimit")).map(([, parameters]) => ({
      remaining: parameters.get("r") as number,
      resetSeconds: parameters.get("t") as number | undefined,
    }));
  }
  if (form === "draft-7") {
    const state = parseDictionary(value("ratelimit"));
    return [{ remaining: state.get("remaining")![0] as number, resetSeconds: state.get("reset")![0] as number }];
  }
  return [{ remaining: Number(value("ratelimit-remaining")), resetSeconds: Number(value("ratelimit-reset")) }];
}

/** How long docs/http.md has a client wait whose requests cost so much. */
function waitMs({ remaining, resetSeconds = 0 }: Told, cost: number): number {
  return resetSeconds * 1_000 * (remaining < cost ? 1 : cost / remaining);
}

const providers: Record<string, (clock: () => number) => Provider> = {
  Local: (clock) => createLocalProvider({ clock }),
  "the faked Redis": (clock) => createFakeRedisProvider({ clock }),
};

/** How many requests a client that spreads what is left over the time until there is more sends in an hour. */
async function pacedHour(
  make: (clock: () => number) => Provider,
  limits: Partial<LimiterDefinition> | { readonly limiters: readonly LimiterDefinition[] },
  headers: HeaderForm,
): Promise<{ readonly sent: number; readonly denied: number }> {
  const clock = manualClock(1_000_000);
  const guard = new Guard({ provider: make(clock), headers, ...limits } as ConstructorParameters<typeof Guard>[0]);
  const end = clock() + HOUR_MS;
  let sent = 0;
  let denied = 0;
  while (clock() < end) {
    const request: HttpRequest = { raw: {}, method: "GET", path: "/", peerAddress: "::1", header: () => undefined };
    const { answer, fields } = await guard.check(request);
    sent++;
    if (answer !== undefined) denied++;
    const { cost = 1 } = limits as { cost?: number };
    clock.advance(Math.max(...toldBy(answer?.fields ?? fields, headers).map((told) => waitMs(told, cost))));
  }
  return { sent, denied };
}

describe.each(Object.keys(providers))("on %s, a client that paces itself by its header fields", (kind) => {
  it.each(["draft-10", "draft-7", "draft-6"] as const)(
    "sends at least 3 500 of 3 600 in an hour at 60 a minute, none denied (%s)",
    async (form) => {
      const { sent, denied } = await pacedHour(providers[kind]!, { rate: perMinute(60) }, form);
      expect(denied).toBe(0);
      expect(sent).toBeGreaterThanOrEqual(3_500);
      expect(sent).toBeLessThanOrEqual(3_660);
    },
  );

  it("does so with requests that cost more than 1, too", async () => {
    const { sent, denied } = await pacedHour(providers[kind]!, { rate: perMinute(62), cost: 5 }, "draft-10");
    expect(denied).toBe(0);
    expect(sent).toBeGreaterThanOrEqual(690);
    expect(sent).toBeLessThanOrEqual(744);
  });

  it("does so with two windows, too", async () => {
    const limiters = [
      { name: "burst", limit: 5, windowMs: seconds(2) },
      { name: "minute", rate: perMinute(60) },
    ];
    const { sent, denied } = await pacedHour(providers[kind]!, { limiters }, "draft-10");
    expect(denied).toBe(0);
    expect(sent).toBeGreaterThanOrEqual(3_400);
  });
});
