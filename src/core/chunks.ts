// Items of a few 8-byte words in typed arrays of up to 65 536 items: the garbage collector has
// nothing to walk in them, and growing copies one chunk at most. They are large, so that millions
// of items need few of them: each is an object more for the processor's caches.

export const CHUNK_BITS = 16;
const CHUNK_SIZE = 1 << CHUNK_BITS;
export const CHUNK_MASK = CHUNK_SIZE - 1;

/** The first chunk starts this small and doubles, so that a limiter of a few keys stays small. */
const FIRST_SIZE = 64;

/**
 * Makes room for `item`, the one after the last, of `words` words.
 *
 * @returns the chunk that has it if it is a new array, which replaces any there was
 */
export function makeRoom(chunks: Float64Array[], item: number, words: number): Float64Array | undefined {
  const index = item >>> CHUNK_BITS;
  const old = chunks[index];
  const place = (item & CHUNK_MASK) * words;
  if (old !== undefined && place < old.length) return undefined;
  const size = index > 0 ? CHUNK_SIZE : Math.max(FIRST_SIZE, (place * 2) / words);
  const chunk = new Float64Array(size * words);
  if (old !== undefined) chunk.set(old);
  chunks[index] = chunk;
  return chunk;
}
