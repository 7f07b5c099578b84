import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CallTerms } from "./batch.ts";
import { luaNumber } from "./commands.ts";
import { ABSOLUTE_INC } from "./lua.generated.ts";
import { sendingTakes, type TakeAsk, type TakeCall, TELL_TIME } from "./take-plan.ts";

const MINUTE = new CallTerms(ABSOLUTE_INC, ["60000", "100", "1", "5", "0.08"]);
const HOUR = new CallTerms(ABSOLUTE_INC, ["3600000", "100", "1", "inf", "inf"]);
const NUMBERS_OF_MINUTE = [60_000, 100, 1, 5, 0.08];
const NUMBERS_OF_HOUR = [3_600_000, 100, 1, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
const NO_HARD_LIMIT = [0, 0];
const [ALIKE, ROW, OTHER, DENIED_ELSEWHERE] = [0, 1, 2, 3];

function ask(terms: CallTerms, key: string, others: Partial<TakeAsk> = {}): TakeAsk {
  return { terms, keys: [key, `${key}b`], draw: undefined, blockMs: 0, ...others };
}

function take(asks: readonly TakeAsk[], others: Partial<TakeCall> = {}): TakeCall {
  return { keys: [], asks, isDenied: false, clock: [], ...others };
}

function planOf(...takes: TakeCall[]) {
  const { keys, args } = sendingTakes.together(takes);
  const [list, ...times] = args;
  const numbers: number[] = JSON.parse(list!);
  return { keys, numbers, times, runs: numbers.slice(numbers[0]! - 1) };
}

/** What plain takes are given, as numbers; undefined for takes that have a plan. */
function plainOf(...takes: TakeCall[]): number[] | undefined {
  const [text] = sendingTakes.together(takes).args;
  if (text!.startsWith("[")) return undefined;
  const [, times, asks] = /^(.)((?:.{17})+)$/s.exec(text!)!;
  const ofAsks = asks!.match(/.{17}/gs)!.flatMap((ask) => /^(.{5})(.{4})(.{3})(.{5})$/s.exec(ask)!.slice(1));
  return [times!, ...ofAsks].map((digits) =>
    [...digits].reduce((value, digit) => value * 90 + digit.charCodeAt(0) - 35, 0),
  );
}

/** An ask that is plain unless `given` has something else. */
function plainAsk(given: Readonly<Record<string, number>>, others?: Partial<TakeAsk>): TakeAsk {
  const { windowMs = 60_000, bucketMs = 100, count = 1, limit = 5 } = given;
  const { rate = (limit * 1_000) / windowMs } = given;
  const args = [windowMs, bucketMs, count, limit, rate].map(luaNumber);
  return ask(new CallTerms(ABSOLUTE_INC, args), `${args}`, others);
}

const MOST = { windowMs: 90 ** 5 - 1, bucketMs: 90 ** 4 - 1, count: 90 ** 3 - 1, limit: 90 ** 5 - 1 };

it("gives takes that are the same as nothing but how many there are, and whole numbers of each ask", () => {
  const asks = [plainAsk({}), plainAsk({ windowMs: 3_600_000, count: 0, limit: 7 })];
  const both = take(asks);
  const states = asks.map(({ keys }) => keys[0]);
  expect(sendingTakes.together([both, both, both]).keys).toEqual([...states, ...states.map((state) => `${state}b`)]);
  expect(plainOf(both, both, both)).toEqual([3, ...[60_000, 100, 1, 5], ...[3_600_000, 100, 0, 7]]);
});

it("gives every number that has so many digits as it is, in characters that every client sends as they are", () => {
  const upTo = (max: number) => fc.integer({ min: 1, max });
  fc.assert(
    fc.property(
      ...([upTo(MOST.windowMs), upTo(MOST.bucketMs), upTo(MOST.count), upTo(MOST.limit)] as const),
      (windowMs, bucketMs, count, limit) => {
        const plain = take([plainAsk({ windowMs, bucketMs, count, limit })]);
        expect(plainOf(plain)).toEqual([1, windowMs, bucketMs, count, limit]);
        expect(sendingTakes.together([plain]).args[0]).toMatch(/^[\x23-\x7c]*$/);
      },
    ),
  );
  expect(plainOf(take([plainAsk(MOST)]))).toEqual([1, ...Object.values(MOST)]);
});

it("tells in the first character how many takes there are, as long as that begins no JSON", () => {
  const plain = take([plainAsk({})]);
  const takes = (count: number) => Array.from({ length: count }, () => plain);
  expect(plainOf(...takes(55))).toEqual([55, 60_000, 100, 1, 5]);
  expect(planOf(...takes(56)).runs).toEqual([56, 1, ALIKE, 1, 0, 1, 0]);
});

it("gives a plan for any other number, for another rate than the limit's, and for a block", () => {
  const { POSITIVE_INFINITY } = Number;
  for (const [name, values] of Object.entries({
    windowMs: [60_000.5, MOST.windowMs + 1],
    bucketMs: [0.1, MOST.bucketMs + 1],
    count: [MOST.count + 1],
    limit: [MOST.limit + 1, 2 ** 53, POSITIVE_INFINITY],
    rate: [0.08, 1 / 3, POSITIVE_INFINITY],
  })) {
    for (const value of values) {
      const odd = plainAsk({ [name]: value });
      expect(plainOf(take([plainAsk({}), odd])), `${name}: ${value}`).toBeUndefined();
      // In JSON all digits of a number arrive, and what is too large for one is read as Infinity.
      expect(planOf(take([odd])).numbers.slice(1, 6)).toEqual(
        odd.terms.args.map((arg) => Number(arg.replace("inf", "Infinity"))),
      );
    }
  }
  expect(plainOf(take([plainAsk({}), plainAsk({}, { blockMs: 1 })]))).toBeUndefined();
  expect(plainOf(take([plainAsk({})]), take([plainAsk({ limit: 6 })]))).toBeUndefined();
});

it("gives the takes of many users as one run, whose keys grow by a step", () => {
  const { keys, numbers, runs } = planOf(
    ...["x", "y", "z"].map((user) => take([ask(HOUR, "all"), ask(MINUTE, user), ask(HOUR, `${user}2`)])),
  );
  expect(keys.slice(0, 7)).toEqual(["all", "x", "x2", "y", "y2", "z", "z2"]);
  expect(numbers.slice(1, 15)).toEqual([
    ...[...NUMBERS_OF_HOUR, ...NO_HARD_LIMIT],
    ...[...NUMBERS_OF_MINUTE, ...NO_HARD_LIMIT],
  ]);
  expect(runs).toEqual([3, 3, ROW, ...[1, 0, 1, 0], ...[2, 2, 8, 0], ...[3, 2, 1, 0]]);
});

it("asks for the time after the list, and tells it to those that asked", () => {
  const [one, other] = [take([ask(MINUTE, "x")]), take([ask(MINUTE, "x"), ask(HOUR, "y")], { clock: [TELL_TIME] })];
  expect(planOf(one).times).toEqual([]);
  expect(planOf(one, other).times).toEqual([TELL_TIME]);
  expect(sendingTakes.together([one, other])).toMatchObject({ sizes: [1, 2], isToldTime: [false, true] });
});

describe("begins another run", () => {
  const oneOf = (key: string, others?: Partial<TakeAsk>) => take([ask(MINUTE, key, others)]);

  it("with a key that was asked before, be it in the order of a row", () => {
    expect(planOf(oneOf("x"), oneOf("y"), oneOf("x")).runs).toEqual([
      ...[2, 1, ROW, 1, 1, 1, 0],
      ...[1, 1, ALIKE, 1, 0, 1, 0],
    ]);
    const [x, y, z] = [ask(MINUTE, "x"), ask(MINUTE, "y"), ask(HOUR, "z")];
    // The keys of the second are 2 and 3, those of the first 1 and 2.
    expect(planOf(take([x, ask(HOUR, "y")]), take([y, z])).runs).toHaveLength(2 * (3 + 2 * 4));
  });

  it("with takes that are the same after takes that aren't, and the other way round", () => {
    expect(planOf(oneOf("x"), oneOf("y"), oneOf("y")).runs).toEqual([
      ...[2, 1, ROW, 1, 1, 1, 0],
      ...[1, 1, ALIKE, 2, 0, 1, 0],
    ]);
    expect(planOf(oneOf("x"), oneOf("x"), oneOf("y")).runs).toEqual([
      ...[2, 1, ALIKE, 1, 0, 1, 0],
      ...[1, 1, ALIKE, 2, 0, 1, 0],
    ]);
  });

  it("with another time, other terms, or another block", () => {
    const at = (ms: string) => take([ask(MINUTE, "x")], { clock: [ms] });
    expect(planOf(at("1"), at("1"), at("2"))).toMatchObject({ times: ["1", "2"] });
    expect(planOf(oneOf("x"), take([ask(HOUR, "x")])).runs).toHaveLength(2 * 7);
    expect(planOf(oneOf("x"), oneOf("x", { blockMs: 9 })).runs).toEqual([
      ...[1, 1, ALIKE, 1, 0, 1, 0],
      ...[1, 1, ALIKE, 1, 0, 1, 9],
    ]);
  });
});

it("says which takes can't be simple: with a draw, with one key twice, denied elsewhere, and with very many asks", () => {
  const kindOf = (one: TakeCall) => planOf(one).runs[2];
  expect(kindOf(take([ask(MINUTE, "x", { blockMs: 9 })]))).toBe(ALIKE);
  expect(kindOf(take([ask(MINUTE, "x", { draw: 0.5 })]))).toBe(OTHER);
  expect(kindOf(take([ask(MINUTE, "x"), ask(HOUR, "x")]))).toBe(OTHER);
  expect(kindOf(take([ask(MINUTE, "x")], { isDenied: true }))).toBe(DENIED_ELSEWHERE);
  const asks = Array.from({ length: 1_001 }, (_, i) => ask(MINUTE, `x${i}`, { blockMs: 9 }));
  expect(kindOf(take(asks.slice(1)))).toBe(ALIKE);
  expect(kindOf(take(asks))).toBe(OTHER);
});

it("gives takes with draws as one run only if they have the same draws and keys", () => {
  const drawing = (key: string, draw: number) => take([ask(MINUTE, key, { draw })]);
  expect(planOf(drawing("x", 0.5), drawing("x", 0.5)).runs).toEqual([2, 1, OTHER, 1, 0, 1, 0.5]);
  expect(planOf(drawing("x", 0.5), drawing("x", 0.25)).runs).toHaveLength(2 * 7);
  expect(planOf(drawing("x", 0.5), drawing("y", 0.5)).runs).toHaveLength(2 * 7);
});
