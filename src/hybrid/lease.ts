// Capacity of one key that Redis has set aside for this process. The process spends it without asking, and Redis counts
// it as used by this process meanwhile, so no two processes can spend the same capacity.
//
// Under the suppressed strategy a lease also has headroom: what the process may admit above the capacity, where a draw
// admits. Redis takes it from what is free under the hard limit.
//
// What always holds:
// - `left` and `headroom` are whole numbers and never negative.
// - A lease that has expired has nothing left, from the first `expire` after its end on.
// - `left` is at most `setAside`.
// - While Redis may hold anything for this process, `isSetAside` is true: from the moment a report is sent that may
//   bring a lease, because the answer may be lost, until the lease of that report has expired and a window has gone by.

export class Lease {
  #left = 0;
  #headroom = 0;
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

  /** How much may still be admitted above the capacity, beside what is left. */
  get headroom(): number {
    return this.#headroom;
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

  /** Whether what is left and the headroom cover a call above the capacity. */
  canSpendAbove(count: number): boolean {
    return count <= this.#left + this.#headroom;
  }

  /** Takes `count` off for a call above the capacity: of what is left, and what is missing of the headroom. */
  spendAbove(count: number): void {
    const ofLeft = Math.min(count, this.#left);
    this.spend(ofLeft);
    this.#headroom -= count - ofLeft;
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

  /** Redis has granted more of both, and all that is there then may be spent until `expiryMs`. */
  refresh(granted: number, grantedHeadroom: number, expiryMs: number): void {
    this.#left += granted;
    this.#kept += granted;
    this.#headroom += grantedHeadroom;
    this.#asked = 0;
    this.#expiryMs = expiryMs;
  }

  /** Keeps at most that much: the next report says how much is kept, and Redis takes the rest back. */
  shrinkTo(most: number, mostHeadroom: number): void {
    if (this.#left > most) this.#left = most;
    if (this.#headroom > mostHeadroom) this.#headroom = mostHeadroom;
  }

  /** Redis has confirmed that it has nothing set aside for this process any longer. */
  end(): void {
    this.shrinkTo(0, 0);
    this.#kept = 0;
    this.#asked = 0;
    this.#goneMs = Number.NEGATIVE_INFINITY;
  }

  /** Drops what is left when its time is over. */
  expire(nowMs: number): void {
    if (nowMs >= this.#expiryMs) this.shrinkTo(0, 0);
  }

  /** Whether Redis may have something set aside for this process, which nobody else can have. */
  isSetAside(nowMs: number): boolean {
    return nowMs < this.#goneMs;
  }
}
