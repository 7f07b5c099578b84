/**
 * Makes a random generator for tests, for the option `random` of a provider. The same seed makes the same numbers in
 * every runtime. It is SplitMix32, a Weyl sequence through a mixer. Its numbers are even enough for tests, but can be
 * guessed.
 *
 * @param seed a whole number; only its lower 32 bits count
 * @returns a function that returns numbers from [0, 1)
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
