// Capacity of one key that Redis has set aside for this process. The process spends it without asking, and Redis counts
// it as used by this process meanwhile, so no two processes can spend the same capacity.
//
// What always holds:
// - `left` is a whole number and never negative.
// - A lease that has expired has nothing left, from the first `expire` after its end on.
// - `left` is at most `setAside`.
// - While Redis may hold anything for this process, `isSetAside` is true: from the moment a report is sent that may
//   bring a lease, because the answer may be lost, until the lease of that report has expired and a window has gone by.

export class Lease {
  #left = 0;
  /** Until then it may be spent. */
  #expiryMs = Number.NEGATIVE_INFINITY;
  /** What was left with the last report or was granted since, without what was spent. */
  #kept = 0;
  /** What a report asks for that has no answer yet. */
  #asked = 0;
  /** Until then Redis may have something set aside. */
  #goneMs = Number.NEGATIVE_INFINITY;

  /** How much may still be spent. */
  get left(): number {
    return this.#left;
  }

  /**
   * The most that Redis may have set aside for this process and that is not spent; it may be more where the answers to
   * several reports are lost.
   */
  get setAside(): number {
    return this.#kept + this.#asked;
  }

  get expiryMs(): number {
    return this.#expiryMs;
  }

  /** Takes `count` off, which must be left. */
  spend(count: number): void {
    this.#left -= count;
    this.#kept -= count;
  }

  /**
   * A report is sent that keeps what is left and asks for more: Redis may set that aside until `goneMs`, whether or not
   * it answers.
   */
  noteSetAside(asked: number, goneMs: number): void {
    this.#kept = this.#left;
    this.#asked = asked;
    this.#goneMs = goneMs;
  }

  /** Redis has granted `granted` more, and all that is left may be spent until `expiryMs`. */
  refresh(granted: number, expiryMs: number): void {
    this.#left += granted;
    this.#kept += granted;
    this.#asked = 0;
    this.#expiryMs = expiryMs;
  }

  /** Keeps at most `most`: the next report says how much is kept, and Redis takes the rest back. */
  shrinkTo(most: number): void {
    if (this.#left > most) this.#left = most;
  }

  /** Redis has confirmed that it has nothing set aside for this process any longer. */
  end(): void {
    this.#left = 0;
    this.#kept = 0;
    this.#asked = 0;
    this.#goneMs = Number.NEGATIVE_INFINITY;
  }

  /** Drops what is left when its time is over. */
  expire(nowMs: number): void {
    if (nowMs >= this.#expiryMs) this.#left = 0;
  }

  /** Whether Redis may have something set aside for this process, which nobody else can have. */
  isSetAside(nowMs: number): boolean {
    return nowMs < this.#goneMs;
  }
}
