import { expect, it } from "vitest";
import { Screen } from "./screen.ts";

function screenOn(output: { isTTY?: boolean; columns?: number }, env = {}) {
  const written: string[] = [];
  const screen = new Screen({ ...output, write: (text: string) => written.push(text) }, env);
  return { screen, written };
}

it("a terminal shows drafts, and each is written over by the next or by the final line", () => {
  const { screen, written } = screenOn({ isTTY: true, columns: 100 });
  screen.draft("3 so far");
  screen.draft("5 so far");
  screen.print("7 in all");
  screen.print("next");
  expect(written).toEqual(["\r3 so far\u001b[K", "\r5 so far\u001b[K", "\r7 in all\u001b[K\n", "next\n"]);
});

it("a draft that is left stays on a line of its own", () => {
  const { screen, written } = screenOn({ isTTY: true, columns: 100 });
  screen.endDraft();
  screen.draft("3 so far");
  screen.endDraft();
  screen.endDraft();
  expect(written).toEqual(["\r3 so far\u001b[K", "\n"]);
});

it("off a terminal, and on one that cannot erase, there are final lines alone", () => {
  for (const [output, env] of [[{}, {}] as const, [{ isTTY: true }, { TERM: "dumb" }] as const]) {
    const { screen, written } = screenOn(output, env);
    screen.draft("3 so far");
    screen.print("7 in all");
    screen.endDraft();
    expect(written).toEqual(["7 in all\n"]);
    expect(screen.style.paint("limit", "│")).toBe("│");
  }
});

it("a terminal has colours unless NO_COLOR is set", () => {
  const paintOf = (env: object) => screenOn({ isTTY: true }, env).screen.style.paint("limit", "│");
  expect(paintOf({})).toBe("\u001b[33m│\u001b[39m");
  expect(paintOf({ NO_COLOR: "" })).toBe("\u001b[33m│\u001b[39m");
  expect(paintOf({ NO_COLOR: "1" })).toBe("│");
});

it("rows leave the last column free, and have 80 where there are no columns", () => {
  expect(screenOn({ isTTY: true, columns: 100 }).screen.style.width).toBe(99);
  expect(screenOn({}).screen.style.width).toBe(80);
});
