// Where in the run one looks: moves by itself while it plays, and by hand.

export const SPEEDS = [0.25, 1, 4, 16];

export class Player {
  readonly #onMove: () => void;
  #endMs = 0;
  #nowMs = 0;
  #speed = 4;
  /** The time of the last frame while it plays. */
  #frameMs: number | undefined;

  constructor(onMove: () => void) {
    this.#onMove = onMove;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get endMs(): number {
    return this.#endMs;
  }

  get playing(): boolean {
    return this.#frameMs !== undefined;
  }

  get speed(): number {
    return this.#speed;
  }

  set speed(speed: number) {
    this.#speed = speed;
  }

  /** A run of that length, seen whole: from its end. */
  load(endMs: number): void {
    this.#endMs = endMs;
    this.#nowMs = endMs;
    this.#frameMs = undefined;
  }

  seek(ms: number): void {
    this.#nowMs = Math.min(this.#endMs, Math.max(0, ms));
    this.#onMove();
  }

  toggle(): void {
    if (this.playing) {
      this.#frameMs = undefined;
    } else {
      if (this.#nowMs >= this.#endMs) this.#nowMs = 0;
      this.#frameMs = performance.now();
      requestAnimationFrame((ms) => this.#step(ms));
    }
    this.#onMove();
  }

  #step(ms: number): void {
    if (this.#frameMs === undefined) return;
    const passed = Math.max(0, ms - this.#frameMs);
    this.#frameMs = ms;
    this.#nowMs = Math.min(this.#endMs, this.#nowMs + passed * this.#speed);
    if (this.#nowMs >= this.#endMs) this.#frameMs = undefined;
    else requestAnimationFrame((next) => this.#step(next));
    this.#onMove();
  }
}
