// What was admitted in a simulation.

/** A call that was admitted. */
export interface Admission {
  /** When it was decided; by Redis, where that was asked. */
  readonly timeMs: number;
  readonly key: string;
  /** The name of the limit that a take asked; none for a call. */
  readonly limit?: string | undefined;
  readonly count: number;
  readonly degraded: boolean;
}

export function countOf(admitted: readonly Admission[]): number {
  return admitted.reduce((sum, { count }) => sum + count, 0);
}

/** The most that was admitted within any `spanMs`. */
export function mostWithin(admitted: readonly Admission[], spanMs: number): number {
  const inOrder = admitted.toSorted((a, b) => a.timeMs - b.timeMs);
  let most = 0;
  let sum = 0;
  let start = 0;
  for (const { timeMs, count } of inOrder) {
    sum += count;
    for (; timeMs - inOrder[start]!.timeMs >= spanMs; start++) sum -= inOrder[start]!.count;
    most = Math.max(most, sum);
  }
  return most;
}
