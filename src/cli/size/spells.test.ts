import { expect, it } from "vitest";
import { Spells } from "./spells.ts";

type Request = readonly [timeMs: number, client: number, cost: number];

/** The pieces that are told: client, most, and the times and costs. */
function piecesOf(requests: readonly Request[], merges = false): unknown[] {
  const pieces: unknown[] = [];
  const spells = new Spells(
    1_000,
    ({ client, most, length, times, costs }) =>
      pieces.push([client, most, ...Array.from({ length }, (_, i) => [times[i], costs[i]])]),
    merges,
    3,
  );
  for (const request of requests) spells.add(...request);
  spells.end();
  spells.end();
  return pieces;
}

it("cut where the client changes, and where it pauses for a window", () => {
  const requests: Request[] = [
    [0, 7, 1],
    [999, 7, 2],
    [1_999, 7, 1],
    [1_999, 8, 4],
  ];
  expect(piecesOf(requests)).toEqual([
    [7, 3, [0, 1], [999, 2]],
    [7, 1, [1_999, 1]],
    [8, 4, [1_999, 4]],
  ]);
});

it("promise nothing of a spell that is too long to be kept, until it ends", () => {
  const requests = Array.from({ length: 7 }, (_, i): Request => [i * 10, 7, 1]);
  expect(piecesOf([...requests, [1_060, 7, 1]])).toEqual([
    [7, Number.POSITIVE_INFINITY, [0, 1], [10, 1], [20, 1]],
    [7, Number.POSITIVE_INFINITY, [30, 1], [40, 1], [50, 1]],
    [7, Number.POSITIVE_INFINITY, [60, 1]],
    [7, 1, [1_060, 1]],
  ]);
});

it("merge requests of one time only where they are told to", () => {
  const requests: Request[] = [
    [0, 7, 1],
    [0, 7, 2],
    [5, 7, 1],
  ];
  expect(piecesOf(requests)).toEqual([[7, 4, [0, 1], [0, 2], [5, 1]]]);
  expect(piecesOf(requests, true)).toEqual([[7, 4, [0, 3], [5, 1]]]);
});
