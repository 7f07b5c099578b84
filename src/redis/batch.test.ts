import { expect, it } from "vitest";
import { type CallTerms, errorIn, type IncCall, sendingIncs, sendingReports } from "./batch.ts";

function terms(letter: string, ...args: string[]): CallTerms {
  return { command: { letter, sha1: "", source: "" }, args };
}

function call(of: CallTerms, key: string, ...own: string[]): IncCall {
  return { terms: of, keys: [key, `${key}b`], own };
}

it("names each key and all terms once, and gives neighbours that are alike as one run", () => {
  const cheap = terms("a", "60000", "100", "1", "5", "5");
  const dear = terms("a", "60000", "100", "3", "5", "5");
  const calls = [call(cheap, "x"), call(cheap, "y"), call(cheap, "x"), call(dear, "x"), call(cheap, "x")];
  const batch = sendingIncs(false).together(calls);
  expect(batch.keys).toEqual(["x", "xb", "y", "yb"]);
  const [ofX, ofY] = [
    ["3", "1", "2", "2", "1", "1", "1"],
    ["1", "1", "1"],
  ];
  expect(batch.args).toEqual(["0", "2", "a", ...cheap.args, "a", ...dear.args, ...ofX, ...ofY]);
  expect(batch.order).toEqual([0, 2, 3, 4, 1]);
});

it("gives each call its own draw and time", () => {
  const soft = terms("s", "60000", "100", "1", "5", "5", "7.5", "100");
  const batch = sendingIncs(true).together([call(soft, "x", "0.25", "10"), call(soft, "x", "0.5", "11")]);
  expect(batch.args).toEqual(["1", "1", "s", ...soft.args, "1", "1", "2", "0.25", "10", "0.5", "11"]);
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
