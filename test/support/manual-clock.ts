/** Time that passes only when a test says so. */
export class ManualClock {
  nowMs: number;

  constructor(startMs = 1_000_000) {
    this.nowMs = startMs;
  }

  /** What a provider takes as its `clock`. */
  readonly read = (): number => this.nowMs;

  advance(ms: number): void {
    this.nowMs += ms;
  }
}
