import { expect, it } from "vitest";
import { CELL_COUNT, CELL_DECLINED, CELL_HIT_MS, Cells, NO_CELL, OLDER, REPORT } from "./cells.ts";

const FIELDS = [REPORT, CELL_HIT_MS, CELL_COUNT, CELL_DECLINED, OLDER];

function take(cells: Cells, number: number): number {
  return cells.take(number, number + 0.5, number + 1, number + 2, NO_CELL);
}

function fieldsOf(cells: Cells, cell: number): number[] {
  return FIELDS.map((field) => cells.read(cell, field));
}

it("each cell keeps its own numbers, through growth too", () => {
  const cells = new Cells();
  const taken = Array.from({ length: 1_000 }, (_, number) => take(cells, number));
  expect(new Set(taken).size).toBe(1_000);
  for (const [number, cell] of taken.entries()) {
    expect(fieldsOf(cells, cell)).toEqual([number, number + 0.5, number + 1, number + 2, NO_CELL]);
  }
});

it("a released cell is taken again before a new one is made, and no cell that is in use", () => {
  const cells = new Cells();
  const taken = Array.from({ length: 10 }, (_, number) => take(cells, number));
  for (const cell of taken.slice(2, 5)) cells.release(cell);
  expect(cells.taken).toBe(7);
  const again = Array.from({ length: 3 }, (_, number) => take(cells, 100 + number));
  expect(new Set(again)).toEqual(new Set(taken.slice(2, 5)));
  expect(take(cells, 200)).toBe(10);
  expect(fieldsOf(cells, taken[5]!)[REPORT]).toBe(5);
});

it("when none is in use, cells begin anew", () => {
  const cells = new Cells();
  const taken = Array.from({ length: 100 }, (_, number) => take(cells, number));
  for (const cell of taken) cells.release(cell);
  expect(cells.taken).toBe(0);
  expect([take(cells, 1), take(cells, 2)]).toEqual([0, 1]);
});

it("adds to what a cell counts", () => {
  const cells = new Cells();
  const cell = take(cells, 1);
  cells.add(cell, 5, 4);
  expect(fieldsOf(cells, cell)).toEqual([1, 1.5, 7, 7, NO_CELL]);
});
