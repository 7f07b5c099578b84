import { expect, it } from "vitest";
import { Slices } from "./slices.ts";

it("a slice has 500 pieces of work, and the next one begins when the event loop has had a turn", async () => {
  const slices = new Slices();
  const turns: number[] = [];
  let turn = 0;
  const count = () => {
    turn++;
    if (turn < 10) setImmediate(count);
  };
  setImmediate(count);
  async function work(pieces: number): Promise<void> {
    for (let piece = 0; piece < pieces; piece++) {
      for (let pause = slices.next(); pause !== undefined; pause = slices.next()) await pause;
      turns.push(turn);
    }
  }
  // Together they have no more than one alone.
  await Promise.all([work(700), work(700), work(100)]);
  expect(turns).toHaveLength(1_500);
  for (let slice = 0; slice < 3; slice++) expect(turns.filter((at) => at === slice)).toHaveLength(500);
});
