/** Hits that share a cell of the bucket grid. */
export interface Bucket {
  /** The time of the newest hit: the bucket is live until exactly `hitMs + windowMs`. */
  readonly hitMs: number;
  readonly count: number;
  readonly declined: number;
}

/** Where the cell of the grid that has `ms` begins; never after `ms`, though a division may round up. */
export function cellStartOf(ms: number, bucketMs: number): number {
  const startMs = Math.floor(ms / bucketMs) * bucketMs;
  return startMs <= ms ? startMs : startMs - bucketMs;
}

/**
 * Until when times are sure to be in the cell that begins at `startMs`, for who remembers a cell to save a division.
 * That is a few roundings before its end, because `cellStartOf` may have the next cell begin that much sooner or later.
 * Of a time from then on it has to be asked again.
 */
export function sureUntilMs(startMs: number, bucketMs: number): number {
  const endMs = startMs + bucketMs;
  return endMs - Math.abs(endMs) * 4 * Number.EPSILON;
}

/**
 * How long until a bucket expires that was hit at `hitMs` last; 0 for -Infinity, which means that there is none.
 * Without the bound a rounding could make it longer than the window.
 */
export function expiresInMs(hitMs: number, windowMs: number, nowMs: number): number {
  const leftMs = hitMs + windowMs - nowMs;
  if (leftMs > windowMs) return windowMs;
  return leftMs > 0 ? leftMs : 0;
}
