import fc from "fast-check";
import { expect, it } from "vitest";
import { CALLED, HELD_BACK, LEASE_EXPIRY_MS, NO_WORDS, type RowOwner, Rows, read, USED, write } from "./rows.ts";

function ownerOf(rows: Rows): RowOwner {
  const owner = { key: "k", words: NO_WORDS, at: 0, row: 0 };
  rows.give(owner);
  return owner;
}

it("a row is new, though another key had its place before", () => {
  const rows = new Rows();
  const first = ownerOf(rows);
  write(first, USED, 5);
  rows.takeBack(first);
  const second = ownerOf(rows);
  expect(read(second, USED)).toBe(0);
  expect(read(second, HELD_BACK)).toBe(-1);
  expect(read(second, LEASE_EXPIRY_MS)).toBe(Number.NEGATIVE_INFINITY);
});

it("who still has a row that was taken back changes nothing of another's", () => {
  const rows = new Rows();
  ownerOf(rows);
  const gone = ownerOf(rows);
  write(gone, USED, 5);
  rows.takeBack(gone);
  const other = ownerOf(rows);
  write(gone, CALLED, 7);
  expect(read(other, CALLED)).toBe(0);
  expect([read(gone, USED), read(gone, CALLED)]).toEqual([5, 7]);
});

it("a selected row is the one of its owner, also after another row has moved there", () => {
  const rows = new Rows();
  const [first, , last] = [ownerOf(rows), ownerOf(rows), ownerOf(rows)];
  write(last!, USED, 5);
  expect(rows.takeBack(first!)).toBe(last);
  expect(rows.ownerOf(0)).toBe(last);
  rows.select(0);
  expect(read(rows, USED)).toBe(5);
});

it("when all rows are taken back at once, who still has one changes nothing of another's", () => {
  const rows = new Rows();
  const gone = ownerOf(rows);
  rows.clear();
  expect(rows.owners).toEqual([]);
  const other = ownerOf(rows);
  write(gone, USED, 5);
  expect(read(other, USED)).toBe(0);
});

it("memory goes with the keys, but for one empty chunk", () => {
  const rows = new Rows();
  const give = () => Array.from({ length: 3 * 1_024 }, () => ownerOf(rows));
  const before = give();
  const [, second, third] = [0, 1_024, 2_048].map((row) => before[row]!.words);
  for (const owner of before.slice(1)) rows.takeBack(owner);
  const after = give();
  expect(after[1_023]!.words).toBe(second);
  expect(after[2_047]!.words).not.toBe(third);
});

it("rows come and go by the thousand, and each owner keeps its numbers", () => {
  const steps = fc.array(fc.record({ gives: fc.nat(1_500), takes: fc.nat(1_500), seed: fc.nat() }), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(steps, (list) => {
      const rows = new Rows();
      const owners: { owner: RowOwner; number: number }[] = [];
      let number = 0;
      for (const { gives, takes, seed } of list) {
        for (let i = 0; i < gives; i++) {
          const owner = ownerOf(rows);
          write(owner, USED, ++number);
          owners.push({ owner, number });
        }
        for (let i = 0; i < takes && owners.length > 0; i++) {
          const [gone] = owners.splice((seed * (i + 1)) % owners.length, 1);
          rows.takeBack(gone!.owner);
        }
        expect(rows.size).toBe(owners.length);
        for (const known of owners) if (read(known.owner, USED) !== known.number) expect.fail(`row ${known.number}`);
        expect(new Set(owners.map(({ owner }) => owner.row)).size).toBe(owners.length);
      }
      // At most one chunk beside those that are full of rows.
      const chunks = new Set(owners.map(({ owner }) => owner.words)).size;
      expect(chunks).toBe(Math.ceil(owners.length / 1_024));
    }),
    { numRuns: 20 },
  );
});
