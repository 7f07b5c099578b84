import { expect, it } from "vitest";
import { duration, grouped, percent, printable, printableJson, roughDuration, table } from "./text.ts";

/** What makes a terminal do something: ESC, CSI of 8 bits, backspace, turned writing, no width, a line's end. */
const HOSTILE = "\u001b[2J\u009b1m\b\u202etxt\u200b\u2028\u0000\ud800\r\n";

it("lets nothing through that a terminal acts on", () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  const acting = /[\u0000-\u001f\u007f-\u009f\u202e\u200b\u2028\ud800-\udfff]/;
  expect(printable(HOSTILE)).toMatch(/^\\u\{1b\}\[2J\\u\{9b\}1m/);
  expect(printable(HOSTILE)).not.toMatch(acting);
  const json = printableJson({ [HOSTILE]: HOSTILE });
  expect(json.replaceAll("\n", "")).not.toMatch(acting);
  expect(JSON.parse(json)).toEqual({ [HOSTILE]: HOSTILE });
  expect(printable("plain, ü, 漢, 🎉")).toBe("plain, ü, 漢, 🎉");
  expect(printable("x".repeat(200))).toHaveLength(101);
});

it("shows numbers, shares and times for people", () => {
  expect([0, 7, 1_234, 1_234_567, 0.25].map(grouped)).toEqual(["0", "7", "1 234", "1 234 567", "0.3"]);
  expect([0, 1e-9, 0.0123, 0.5, 0.9999, 1, 1.5].map(percent)).toEqual([
    ...["0 %", "< 0.01 %", "1.2 %", "50 %", "> 99.9 %", "100 %", "150 %"],
  ]);
  expect([5, 1_000, 90_000, 3_600_000, 86_400_000].map(duration)).toEqual(["5 ms", "1 s", "90 s", "1 h", "1 d"]);
  expect([0.4, 1_500, 3_599_000, 5_400_000, 200_000_000].map(roughDuration)).toEqual([
    ...["0.4 ms", "1.5 s", "1 h", "1.5 h", "2.3 d"],
  ]);
});

it("ends numbers of a column at one place", () => {
  expect(
    table(
      ["window", "max"],
      [
        ["1 s", "5"],
        ["1 min", "1 000"],
      ],
    ),
  ).toEqual([...["window    max", "1 s         5", "1 min   1 000"]]);
});
