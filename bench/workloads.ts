// What the benchmarks call a limiter with: keys in a random order.

export function makeKeys(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `user-${i}`);
}

const ORDER_LENGTH = 2 ** 20;

/** The order in which keys are called: random, the same each time, and repeated from its end. */
export class Calls {
  readonly #order: string[];

  constructor(keys: readonly string[]) {
    let state = 1;
    this.#order = Array.from({ length: ORDER_LENGTH }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return keys[(state >>> 4) % keys.length]!;
    });
  }

  key(call: number): string {
    return this.#order[call & (ORDER_LENGTH - 1)]!;
  }
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
