import { expect, it } from "vitest";
import { Blocks } from "./blocks.ts";

it("a block that begins now has as long left as it lasts, whatever the fractions of the clock", () => {
  const blocks = new Blocks(10);
  for (let nowMs = 2_000.123_457; nowMs < 4_000; nowMs += 3.210_123) {
    blocks.set("key", nowMs + 30_000, nowMs);
    expect(blocks.leftMs("key", nowMs)).toBe(30_000);
  }
});
