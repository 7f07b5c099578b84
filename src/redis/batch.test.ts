import { expect, it } from "vitest";
import { CallTerms, errorIn, type IncCall, sendingIncs, sendingReports } from "./batch.ts";

function terms(...args: string[]): CallTerms {
  return new CallTerms({ sha1: "", source: "" }, args);
}

function call(of: CallTerms, key: string, draw?: number, nowMs?: number): IncCall {
  return { terms: of, keys: [key, `${key}b`], draw, nowMs };
}

it("names each key and all terms once, and gives neighbours that are alike as one run", () => {
  const cheap = terms("60000", "1");
  const dear = terms("60000", "3");
  const calls = [call(cheap, "x"), call(cheap, "y"), call(cheap, "x"), call(dear, "x"), call(cheap, "x")];
  const batch = sendingIncs(false).together(calls);
  expect(batch.keys).toEqual(["x", "xb", "y", "yb"]);
  const [given, plan] = batch.args.map((text) => JSON.parse(text));
  expect(given).toEqual([
    [60_000, 1],
    [60_000, 3],
  ]);
  const ofX = [1, 3, 1, 2, 2, 1, 1, 1];
  const ofY = [1, 1, 1, 1];
  expect(plan).toEqual([0, ...ofX, ...ofY]);
  expect(batch.order).toEqual([0, 2, 3, 4, 1]);
});

it("says once how neighbouring keys are called that are called alike, and gives each call its own draw and time", () => {
  const soft = terms("1", "inf");
  const calls = [call(soft, "x", 0.25, 10), call(soft, "y", 0.5, 11), call(soft, "z", 0, 12)];
  const batch = sendingIncs(true).together([...calls, call(soft, "z", 1e-7, 13)]);
  expect(batch.keys).toEqual(["x", "xb", "y", "yb", "z", "zb"]);
  const [given, plan] = batch.args.map((text) => JSON.parse(text));
  expect(given).toEqual([[1, Number.POSITIVE_INFINITY]]);
  const ofXAndY = [2, 1, 1, 1, 0.25, 10, 0.5, 11];
  const ofZ = [1, 1, 1, 2, 0, 12, 1e-7, 13];
  expect(plan).toEqual([1, ...ofXAndY, ...ofZ]);
});

it("takes text after an exclamation mark for what failed, and nothing else", () => {
  expect(errorIn("!WRONGTYPE Operation")?.message).toBe("WRONGTYPE Operation");
  expect(errorIn(Buffer.from("!WRONGTYPE Operation"))?.message).toBe("WRONGTYPE Operation");
  expect(errorIn("!user_script:1: bad argument")?.message).toMatch(/^ERR Error running script .*: user_script:1: bad/);
  for (const reply of ["12", 12, [1, 2], null, undefined]) expect(errorIn(reply)).toBe(undefined);
});

it("gives each report the number of its arguments, and the time of the last one to all", () => {
  const report = (key: string, ...args: string[]) => ({
    command: { sha1: "", source: "" },
    keys: [key, `${key}b`, `${key}l`] as const,
    args,
    clock: [args[0]!],
  });
  const batch = sendingReports.together([report("x", "1", "2"), report("y", "3")]);
  expect(batch.keys).toEqual(["x", "xb", "xl", "y", "yb", "yl"]);
  expect(batch.args).toEqual(["2", "1", "2", "1", "3", "3"]);
});
