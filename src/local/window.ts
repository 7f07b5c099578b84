// A key's sliding window: the buckets of the selected record, at the present time.

import type { Rate } from "../core/rate.ts";
import type { History } from "../core/types.ts";
import { type Bucket, cellStartOf, expiresInMs, sureUntilMs } from "../strategy/bucket.ts";
import { shrunk } from "../strategy/corrections.ts";
import type { SuppressedView, WindowView } from "../strategy/view.ts";
import { BucketList } from "./buckets.ts";
import { Corrections } from "./corrections.ts";
import { Finger } from "./finger.ts";
import { Milestones } from "./milestones.ts";
import { NONE, type NodePool } from "./node-pool.ts";
import type { Overload } from "./overload.ts";
import { HEAD, NEWEST_ACCEPTED, NEWEST_MS, OLDEST_MS, RATE, type Records, USED } from "./records.ts";

/**
 * Totals are exact integers whatever strangers count: they stop at the largest one. What is declined stops
 * at half of it, so that there is always room for what is accepted to be counted.
 */
const MOST = Number.MAX_SAFE_INTEGER;
export const MOST_DECLINED = 2 ** 52;

/**
 * A cursor: `lookAt` makes it the window of the selected record at a time, and all else is about that window then. That
 * spares the time from being boxed on its way from step to step.
 *
 * Always holds after `lookAt`: every bucket is live; `used` is the sum of what the buckets have accepted and `observed`
 * of all that they count, at most 2^53 - 1; no two buckets are in one cell of the grid.
 */
export class Window implements WindowView, SuppressedView {
  readonly #records: Records;
  readonly #list: BucketList;
  readonly #overload: Overload;
  readonly #finger: Finger;
  readonly #milestones: Milestones;
  readonly #corrections: Corrections;
  readonly #windowMs: number;
  readonly #bucketMs: number;
  #nowMs = 0;
  // The cell of the grid that was hit last, whoever's, and until when hits are sure to be in it.
  #cellStartMs = Number.POSITIVE_INFINITY;
  #sureUntilMs = Number.NEGATIVE_INFINITY;

  constructor(records: Records, nodes: NodePool, overload: Overload, windowMs: number, bucketMs: number) {
    this.#records = records;
    this.#list = new BucketList(records, nodes);
    this.#overload = overload;
    this.#finger = new Finger(records, this.#list, windowMs, bucketMs);
    this.#milestones = new Milestones(records, this.#list);
    this.#corrections = new Corrections(records, this.#list, this.#overload, this.#finger, this.#milestones);
    this.#windowMs = windowMs;
    this.#bucketMs = bucketMs;
  }

  /** Looks at the selected record at `nowMs`, and drops what has expired. */
  lookAt(nowMs: number): void {
    this.#nowMs = nowMs;
    const records = this.#records;
    if (records.words[records.at + OLDEST_MS]! + this.#windowMs <= nowMs) this.#expire();
  }

  /** Looks at the selected record at `nowMs`. Returns whether a call at its rate is admitted within the limit. */
  weigh(nowMs: number, rate: Rate, count: number, limit: number): boolean {
    this.lookAt(nowMs);
    const { words, at } = this.#records;
    return words[at + RATE] === rate && words[at + USED]! + count <= limit;
  }

  /** What is inserted next is looked at then. */
  noteTime(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  // V8 always inlines a function of at most 27 bytes of bytecode. With `words` and `at` taken together these two have
  // less, and with `#records` taken twice they would have more.
  get used(): number {
    const { words, at } = this.#records;
    return words[at + USED]!;
  }

  get declined(): number {
    return this.#overload.declined;
  }

  get observed(): number {
    return this.used + this.#overload.declined;
  }

  get rate(): Rate {
    const { words, at } = this.#records;
    return words[at + RATE]! as Rate;
  }

  setRate(rate: Rate): void {
    const { words, at } = this.#records;
    if (words[at + RATE] !== rate) this.#changeRate(rate);
  }

  get oldestExpiresInMs(): number {
    return expiresInMs(this.#list.oldestMs, this.#windowMs, this.#nowMs);
  }

  /**
   * The same right after a hit, in whole milliseconds, rounded up. V8 allocates memory for a fraction that a function
   * returns.
   */
  moreAfterHitMs(): number {
    const { words, at, halves } = this.#records;
    const windowMs = this.#windowMs;
    // Without a list there is one bucket, which was hit just now.
    if (halves[at * 2 + HEAD] === NONE) return windowMs;
    const leftMs = words[at + OLDEST_MS]! + windowMs - this.#nowMs;
    return leftMs < windowMs ? Math.ceil(leftMs) : windowMs;
  }

  /** When the oldest bucket was hit last, or before that in the same bucket. */
  get oldestHitMs(): number {
    const { words, at } = this.#records;
    return words[at + OLDEST_MS]!;
  }

  /** What `moreAfterHitMs` was after a hit at `hitMs`, when `oldestHitMs` was `oldestMs`, whatever is selected now. */
  moreAfterHitAt(hitMs: number, oldestMs: number): number {
    // There is one bucket if the oldest one is in the cell of the hit.
    if (oldestMs >= cellStartOf(hitMs, this.#bucketMs)) return this.#windowMs;
    return Math.min(Math.ceil(oldestMs + this.#windowMs - hitMs), this.#windowMs);
  }

  get oldestExpiresWithHitInMs(): number {
    const newestMs = this.#records.words[this.#records.at + NEWEST_MS]!;
    const isOnly = this.#list.head === NONE && newestMs >= cellStartOf(this.#nowMs, this.#bucketMs);
    return isOnly || this.observed === 0 ? this.#windowMs : this.oldestExpiresInMs;
  }

  get oldestAccepted(): number {
    const head = this.#list.head;
    return head === NONE ? this.#records.words[this.#records.at + NEWEST_ACCEPTED]! : this.#list.accepted(head);
  }

  waitMsFor(count: number): number {
    const hitMs = count <= this.oldestAccepted ? this.#list.oldestMs : this.#hitMsOfLast(count);
    return hitMs + this.#windowMs - this.#nowMs;
  }

  freedWith(count: number): number {
    const oldest = this.oldestAccepted;
    return count <= oldest ? oldest : this.#freedWithLast(count);
  }

  // Apart, so that V8 inlines the two above: most calls need the oldest bucket only.
  #hitMsOfLast(count: number): number {
    const node = this.#lastOf(count);
    return node === NONE ? this.#records.words[this.#records.at + NEWEST_MS]! : this.#list.hitMsOf(node);
  }

  #freedWithLast(count: number): number {
    const node = this.#lastOf(count);
    return node === NONE ? this.used : this.#milestones.countBefore + this.#list.count(node);
  }

  /**
   * The bucket with which the oldest buckets count `count`, which is more than the oldest counts; NONE for the newest.
   */
  #lastOf(count: number): number {
    const isNewest = count > this.used - this.#records.words[this.#records.at + NEWEST_ACCEPTED]!;
    return isNewest ? NONE : this.#milestones.find(count);
  }

  recentPerSecond(): number {
    return this.#finger.recentPerSecond(this.#nowMs, this.observed);
  }

  keptFactor(maxAgeMs: number): number {
    return this.#overload.keptFactor(this.#nowMs, maxAgeMs);
  }

  keepFactor(factor: number): void {
    this.#overload.keepFactor(this.#nowMs, factor);
  }

  /**
   * Counts a hit that was admitted. Returns what is used with the hit.
   *
   * V8 inlines at most 920 bytes of bytecode into a call. So the lines of `beginHit` stand here too: to call it costs a
   * call to a hot key a seventh.
   */
  accept(count: number): number {
    const { words, at } = this.#records;
    const used = words[at + USED]! + count;
    const hitMs = this.#nowMs;
    if (hitMs >= this.#sureUntilMs || words[at + NEWEST_MS]! < this.#cellStartMs) this.#enterBucket(hitMs);
    words[at + NEWEST_MS] = hitMs;
    // Declined counts stop at 2^52, so what is below that fits in any case.
    const accepted = used < MOST_DECLINED ? count : this.#acceptedRoom(count);
    words[at + NEWEST_ACCEPTED]! += accepted;
    words[at + USED]! += accepted;
    return used;
  }

  /** Counts a hit that is admitted for sure, in the newest bucket. Returns what is used with the hit. */
  acceptInNewest(count: number, hitMs: number): number {
    const { words, at } = this.#records;
    const used = words[at + USED]! + count;
    words[at + NEWEST_MS] = hitMs;
    words[at + NEWEST_ACCEPTED]! += count;
    words[at + USED] = used;
    return used;
  }

  /** How many more hits of `count` fit under the limit while nothing expires. Totals stay exact with them. */
  hitsLeft(count: number, limit: number): number {
    return Math.floor((Math.min(limit, MOST_DECLINED - 1) - this.used) / count);
  }

  /** Right after a hit: until when nothing expires, and hits are in the newest bucket. */
  get staysUntilMs(): number {
    const { words, at } = this.#records;
    return Math.min(words[at + OLDEST_MS]! + this.#windowMs, this.#sureUntilMs);
  }

  /** Has the newest bucket be that of the present cell of the grid, and hit now. A count is added to it next. */
  beginHit(): void {
    if (this.beginsBucket()) this.#enterBucket(this.#nowMs);
    this.#records.words[this.#records.at + NEWEST_MS] = this.#nowMs;
  }

  /** Whether a hit now is in another bucket than the newest, or may be. */
  beginsBucket(): boolean {
    const { words, at } = this.#records;
    return this.#nowMs >= this.#sureUntilMs || words[at + NEWEST_MS]! < this.#cellStartMs;
  }

  /** Counts a hit, of which `declined` was denied. */
  addHit(count: number, declined: number): void {
    if (declined > 0) this.#decline(count, declined);
    else this.accept(count);
  }

  /** Adds `delta` to the newest bucket, or takes it from the newest buckets that have as much. */
  adjust(delta: number): void {
    this.#overload.forgetFactor();
    if (delta < 0) this.#corrections.refund(-delta, this.#nowMs);
    else this.#corrections.growNewest(Math.min(delta, MOST - this.observed));
  }

  /** Makes `count`, which is more than 0, the total. `history` says which buckets have it then. */
  setTotal(count: number, history: History): void {
    const { observed, declined } = this;
    this.#overload.forgetFactor();
    if (observed === 0 || history === "replace") {
      this.empty();
      this.addHit(count, shrunk(declined, observed, count));
    } else if (count >= observed) {
      if (history === "preserve-newest") this.#corrections.growNewest(count - observed);
      else this.#corrections.growOldest(count - observed, this.#nowMs);
    } else if (history === "preserve-newest") {
      this.#corrections.shrinkOldest(count, this.#nowMs);
    } else {
      this.#corrections.shrinkNewest(count);
    }
  }

  /** How many keys have milestones, for tests. */
  get keysWithMilestones(): number {
    return this.#milestones.size;
  }

  /** The live buckets, oldest first, for tests. */
  buckets(): Bucket[] {
    const { words, at } = this.#records;
    const list = this.#list;
    const buckets: Bucket[] = [];
    if (words[at + NEWEST_MS] === Number.NEGATIVE_INFINITY) return buckets;
    let hitMs = list.oldestMs;
    for (let node = list.head; node !== NONE; node = list.next(node)) {
      const count = list.count(node);
      if (count > 0) buckets.push({ hitMs, count, declined: list.declined(node) });
      hitMs = list.hitMsAfter(node);
    }
    const declined = this.#overload.newestDeclined;
    buckets.push({ hitMs, count: words[at + NEWEST_ACCEPTED]! + declined, declined });
    return buckets;
  }

  /** Forgets what is kept beside the records, which are all gone. */
  clear(): void {
    this.#milestones.clear();
  }

  /** Drops all that is counted and the kept factor; the key and its rate stay. */
  empty(): void {
    const { words, at } = this.#records;
    while (this.#list.head !== NONE) this.#list.dropHead();
    this.#overload.release();
    this.#finger.reset();
    this.#milestones.reset();
    words[at + NEWEST_MS] = Number.NEGATIVE_INFINITY;
    words[at + OLDEST_MS] = Number.POSITIVE_INFINITY;
    words[at + NEWEST_ACCEPTED] = 0;
    words[at + USED] = 0;
  }

  /** Counts a hit of which a part, or all, was denied. */
  #decline(count: number, declined: number): void {
    this.beginHit();
    const fits = this.observed + count < MOST_DECLINED;
    this.#overload.decline(fits ? declined : this.#declinedRoom(count, declined));
    if (count > declined) this.accept(count - declined);
  }

  #acceptedRoom(count: number): number {
    return Math.min(count, MOST - this.observed);
  }

  #declinedRoom(count: number, declined: number): number {
    const room = MOST - this.observed;
    return Math.min(declined, declined < count ? room : Math.min(room, MOST_DECLINED - this.#overload.declined));
  }

  /** The new rate holds from now on, so a factor that was computed for the old one is void. */
  #changeRate(rate: Rate): void {
    this.#records.words[this.#records.at + RATE] = rate;
    this.#overload.forgetFactor();
  }

  #expire(): void {
    const nowMs = this.#nowMs;
    const { words, at } = this.#records;
    if (words[at + NEWEST_MS]! + this.#windowMs <= nowMs) {
      this.empty();
      return;
    }
    const list = this.#list;
    words[at + OLDEST_MS] = list.oldestMs;
    for (let node = list.head; node !== NONE; node = list.head) {
      if (words[at + OLDEST_MS]! + this.#windowMs > nowMs) break;
      words[at + USED]! -= list.accepted(node);
      words[at + OLDEST_MS] = list.hitMsAfter(node);
      this.#overload.expire(list.declined(node));
      this.#finger.expire(node);
      this.#milestones.expire(node);
      list.dropHead();
    }
    // Where totals have stopped at the largest one, the newest bucket may count nothing.
    if (this.observed === 0) this.empty();
  }

  /**
   * Sees to it that the newest bucket is that of the cell which `hitMs` is in. Most hits are in the cell that the hit
   * before was in, whoever's, which saves a division.
   */
  #enterBucket(hitMs: number): void {
    if (hitMs >= this.#sureUntilMs) {
      this.#cellStartMs = cellStartOf(hitMs, this.#bucketMs);
      this.#sureUntilMs = sureUntilMs(this.#cellStartMs, this.#bucketMs);
    }
    const { words, at } = this.#records;
    const newestMs = words[at + NEWEST_MS]!;
    if (newestMs >= this.#cellStartMs) return;
    if (newestMs === Number.NEGATIVE_INFINITY) {
      words[at + OLDEST_MS] = hitMs;
      return;
    }
    const { newestDeclined } = this.#overload;
    // One that counts nothing, because totals had stopped, just goes on: nobody waits until it expires.
    if (words[at + NEWEST_ACCEPTED]! + newestDeclined === 0) return;
    // The newest bucket moves to the end of the list, and a new one takes its place.
    words[at + OLDEST_MS] = this.#list.oldestMs;
    this.#list.append(newestMs, words[at + NEWEST_ACCEPTED]!, newestDeclined);
    this.#overload.startBucket();
    words[at + NEWEST_ACCEPTED] = 0;
  }
}
