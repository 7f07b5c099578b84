// What is kept for each window, where windows come with the requests.

/**
 * So many windows are kept as they are asked for. A window may be a function of a request, and a provider never forgets
 * a window. So each further window is rounded up to a power of two, and of those there are 53.
 */
const MOST_EXACT_WINDOWS = 100;

/** Always holds: one window has one value, and there are at most 153 windows. */
export class ByWindow<T> {
  readonly #values = new Map<number, T>();
  readonly #make: (windowMs: number) => T;

  /** @param make makes the value of a window, and throws where that is no window */
  constructor(make: (windowMs: number) => T) {
    this.#make = make;
  }

  /** The value of this window, or of the next longer window that is kept. */
  of(windowMs: number): T {
    const known = this.#values.get(windowMs);
    if (known !== undefined) return known;
    const isWindow = windowMs >= 1 && windowMs <= Number.MAX_SAFE_INTEGER;
    const isExact = this.#values.size < MOST_EXACT_WINDOWS || !isWindow;
    const keptMs = isExact ? windowMs : Math.min(2 ** Math.ceil(Math.log2(windowMs)), Number.MAX_SAFE_INTEGER);
    const kept = this.#values.get(keptMs);
    if (kept !== undefined) return kept;
    const made = this.#make(keptMs);
    this.#values.set(keptMs, made);
    return made;
  }
}
