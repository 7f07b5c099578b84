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

import { ASKED, add, GIVEN_UP, GONE_MS, HEADROOM, LEASE_EXPIRY_MS, LEFT, type Row, read, write } from "./rows.ts";

/**
 * A view of a row, where all its numbers are.
 *
 * | word              | means                                                                            |
 * |-------------------|----------------------------------------------------------------------------------|
 * | `LEFT`            | how much may still be spent                                                      |
 * | `GIVEN_UP`        | what this process keeps no longer, and Redis still has set aside for it          |
 * | `HEADROOM`        | how much may still be admitted above the capacity                                |
 * | `ASKED`           | what a report asks for that has no answer yet                                    |
 * | `LEASE_EXPIRY_MS` | until then it may be spent                                                       |
 * | `GONE_MS`         | until then Redis may have something set aside                                    |
 */
export class Lease {
  readonly #row: Row;

  constructor(row: Row) {
    this.#row = row;
  }

  /** How much may still be spent. */
  get left(): number {
    return read(this.#row, LEFT);
  }

  /** How much may still be admitted above the capacity, beside what is left. */
  get headroom(): number {
    return read(this.#row, HEADROOM);
  }

  /**
   * The most that Redis may have set aside for this process and that is not spent; it may be more where the answers to
   * several reports are lost.
   */
  get setAside(): number {
    return read(this.#row, LEFT) + read(this.#row, GIVEN_UP) + read(this.#row, ASKED);
  }

  get expiryMs(): number {
    return read(this.#row, LEASE_EXPIRY_MS);
  }

  /** Takes `count` off, if it is left. */
  trySpend(count: number): boolean {
    const { words, at } = this.#row;
    const left = words[at + LEFT]! - count;
    if (left < 0) return false;
    words[at + LEFT] = left;
    return true;
  }

  /** Whether what is left and the headroom cover a call above the capacity. */
  canSpendAbove(count: number): boolean {
    return count <= read(this.#row, LEFT) + read(this.#row, HEADROOM);
  }

  /** Takes `count` off for a call above the capacity: of what is left, and what is missing of the headroom. */
  spendAbove(count: number): void {
    const ofLeft = Math.min(count, read(this.#row, LEFT));
    add(this.#row, LEFT, -ofLeft);
    add(this.#row, HEADROOM, ofLeft - count);
  }

  /**
   * A report is sent that keeps what is left and asks for more: Redis may set that aside until `goneMs`, whether or not
   * it answers.
   */
  noteSetAside(asked: number, goneMs: number): void {
    write(this.#row, GIVEN_UP, 0);
    write(this.#row, ASKED, asked);
    write(this.#row, GONE_MS, goneMs);
  }

  /** Redis has granted more of both, and all that is there then may be spent until `expiryMs`. */
  refresh(granted: number, grantedHeadroom: number, expiryMs: number): void {
    add(this.#row, LEFT, granted);
    add(this.#row, HEADROOM, grantedHeadroom);
    write(this.#row, ASKED, 0);
    write(this.#row, LEASE_EXPIRY_MS, expiryMs);
  }

  /** Keeps at most that much: the next report says how much is kept, and Redis takes the rest back. */
  shrinkTo(most: number, mostHeadroom: number): void {
    const over = read(this.#row, LEFT) - most;
    if (over > 0) {
      write(this.#row, LEFT, most);
      add(this.#row, GIVEN_UP, over);
    }
    if (read(this.#row, HEADROOM) > mostHeadroom) write(this.#row, HEADROOM, mostHeadroom);
  }

  /** Redis has confirmed that it has nothing set aside for this process any longer. */
  end(): void {
    this.shrinkTo(0, 0);
    write(this.#row, GIVEN_UP, 0);
    write(this.#row, ASKED, 0);
    write(this.#row, GONE_MS, Number.NEGATIVE_INFINITY);
  }

  /** Drops what is left when its time is over. */
  expire(nowMs: number): void {
    if (nowMs >= read(this.#row, LEASE_EXPIRY_MS)) this.shrinkTo(0, 0);
  }

  /** Whether Redis may have something set aside for this process, which nobody else can have. */
  isSetAside(nowMs: number): boolean {
    return nowMs < read(this.#row, GONE_MS);
  }
}
