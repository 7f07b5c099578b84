// The hits of one key that Redis hasn't confirmed yet. Each hit is in exactly one state:
//
//   pending     no report has brought it yet
//   in flight   a report has brought it, under the number of that report, and Redis hasn't confirmed it. A report whose
//               answer is lost may have been counted or not, so its hits are sent again under the same number: Redis
//               knows by the number whether it has counted them.
//   held back   pending, but the last report left it out, because too many hits were in flight
//   confirmed   Redis has counted it, and it is gone from here; so is a hit that has expired
//
// What always holds:
// - Hits are in the order of their times; each has 0 ≤ declined ≤ count.
// - Hits in flight keep their number. Pending hits have none, and `PENDING` is how many ended ones there are.
// - At most MOST_HITS ended hits are pending: beyond that neighbours are merged, because an outage can be long.
//
// The newest cell of the bucket grid is kept in the row: most hits join it. Ended cells are a linked list in a table,
// because an array would take more memory than the one or two hits that most keys have.

import { cellStartOf, sureUntilMs } from "../strategy/bucket.ts";
import { CELL_COUNT, CELL_DECLINED, CELL_HIT_MS, type Cells, NO_CELL, OLDER, REPORT } from "./cells.ts";
import {
  add,
  COUNT,
  DECLINED,
  HELD_BACK,
  HIT_MS,
  NEWEST_ENDED,
  PENDING,
  type Row,
  read,
  SURE_UNTIL_MS,
  write,
} from "./rows.ts";
import type { Timing } from "./timing.ts";

type Grid = Pick<Timing, "windowMs" | "bucketMs">;

/** The hits of one cell of the bucket grid. */
export interface HitCell {
  /** The number of the report that brought it first, or 0 while it is pending. */
  readonly report: number;
  /** The time of the newest hit in it. */
  readonly hitMs: number;
  readonly count: number;
  readonly declined: number;
}

/** More ended hits than that are merged while they are pending, and held back while as many are in flight. */
const MOST_HITS = 64;

/**
 * Adds a pending hit to the newest cell, if it is sure to belong there. `Outbox.add` does the same and more. This is
 * for most calls to a hot key, and a function, so that V8 inlines it there: that makes up for what the row costs such a
 * call.
 */
export function tryJoin({ words, at }: Row, count: number, declined: number, nowMs: number): boolean {
  if (words[at + COUNT] === 0 || nowMs >= words[at + SURE_UNTIL_MS]!) return false;
  words[at + COUNT]! += count;
  words[at + DECLINED]! += declined;
  words[at + HIT_MS] = nowMs;
  return true;
}

/**
 * A view of a row and of the table of ended cells, where all its numbers are.
 *
 * | word            | means                                                                                 |
 * |-----------------|---------------------------------------------------------------------------------------|
 * | `COUNT`         | the counts of the newest cell, which is pending; it has no hit while this is 0        |
 * | `DECLINED`      | the part of them that was denied                                                      |
 * | `HIT_MS`        | the time of the newest hit in it                                                      |
 * | `SURE_UNTIL_MS` | until when hits are sure to belong to it                                              |
 * | `NEWEST_ENDED`  | the newest of the ended cells, from which on each is linked to the next older one     |
 * | `PENDING`       | how many ended cells are pending                                                      |
 * | `HELD_BACK`     | the accepted part of the hits that the last report held back; -1 if it held none back |
 */
export class Outbox {
  readonly #row: Row;
  readonly #grid: Grid;
  readonly #cells: Cells;

  constructor(row: Row, grid: Grid, cells: Cells) {
    this.#row = row;
    this.#grid = grid;
    this.#cells = cells;
  }

  get isEmpty(): boolean {
    return read(this.#row, COUNT) === 0 && read(this.#row, NEWEST_ENDED) === NO_CELL;
  }

  /** Whether the last report held hits back. */
  get isHoldingBack(): boolean {
    return read(this.#row, HELD_BACK) >= 0;
  }

  /** The accepted part of the hits that the last report held back. */
  get heldBackAccepted(): number {
    return Math.max(0, read(this.#row, HELD_BACK));
  }

  /** The time of the oldest hit; undefined when there is none. */
  get oldestMs(): number | undefined {
    const [oldest] = this.#oldestFirst();
    if (oldest !== undefined) return this.#cells.read(oldest, CELL_HIT_MS);
    return read(this.#row, COUNT) > 0 ? read(this.#row, HIT_MS) : undefined;
  }

  /** Adds a pending hit at the present time, of which `declined` was denied. */
  add(count: number, declined: number, nowMs: number): void {
    if (tryJoin(this.#row, count, declined, nowMs)) return;
    const startMs = this.#cellStartOf(nowMs);
    if (read(this.#row, HIT_MS) < startMs) this.#endCell();
    write(this.#row, SURE_UNTIL_MS, sureUntilMs(startMs, this.#grid.bucketMs));
    add(this.#row, COUNT, count);
    add(this.#row, DECLINED, declined);
    write(this.#row, HIT_MS, nowMs);
  }

  /**
   * Adds a hit that is in flight already: Redis may have counted it under the number `report`, and the answer that
   * would tell is lost. It has to be added before the next report is made, since Redis skips numbers that are not newer
   * than the last report that it has counted.
   */
  addInFlight(report: number, count: number, declined: number, nowMs: number): void {
    this.#endCell();
    const cells = this.#cells;
    const newest = read(this.#row, NEWEST_ENDED);
    // All calls that waited for one answer come here at the same time: a report would grow with their number.
    if (
      newest !== NO_CELL &&
      cells.read(newest, REPORT) === report &&
      cells.read(newest, CELL_HIT_MS) >= this.#cellStartOf(nowMs)
    ) {
      cells.write(newest, CELL_HIT_MS, nowMs);
      cells.add(newest, count, declined);
    } else {
      this.#append(report, nowMs, count, declined);
    }
  }

  /**
   * Takes back up to `count` of what was accepted, from the newest hits. A hit in flight may be among them: if Redis
   * has counted it after all, it stays counted there. Returns how much is left to take back.
   */
  takeBack(count: number): number {
    this.#endCell();
    let left = count;
    const cells = this.#cells;
    for (const cell of this.#newestFirst()) {
      const part = Math.min(left, acceptedIn(cells, cell));
      cells.add(cell, -part, 0);
      left -= part;
    }
    this.#keep((cell) => cells.read(cell, CELL_COUNT) > 0);
    return left;
  }

  /**
   * What to report now under that number, oldest first: all that is live. Where reports go unanswered for long, what
   * came later is held back until Redis answers, so that a report doesn't grow with the length of an outage.
   */
  takeForReport(report: number, nowMs: number): readonly HitCell[] {
    this.#endCell();
    this.expire(nowMs);
    const all = this.#oldestFirst();
    const pending = all.filter((cell) => this.#isPending(cell));
    const inFlight = all.length - pending.length;
    if (pending.length > 0 && inFlight >= MOST_HITS) {
      write(
        this.#row,
        HELD_BACK,
        pending.reduce((sum, cell) => sum + acceptedIn(this.#cells, cell), 0),
      );
      return this.#hitsIn(all.filter((cell) => !this.#isPending(cell)));
    }
    for (const cell of pending) this.#cells.write(cell, REPORT, report);
    write(this.#row, PENDING, 0);
    write(this.#row, HELD_BACK, -1);
    return this.#hitsIn(all);
  }

  /** Redis has counted what was in flight under that number and under earlier ones. */
  confirm(report: number): void {
    this.#keep((cell) => this.#isPending(cell) || this.#cells.read(cell, REPORT) > report);
  }

  /** Drops what has expired, which matters to nobody any longer. */
  expire(nowMs: number): void {
    const goneMs = nowMs - this.#grid.windowMs;
    this.#keep((cell) => this.#cells.read(cell, CELL_HIT_MS) > goneMs);
    if (read(this.#row, COUNT) > 0 && read(this.#row, HIT_MS) <= goneMs) this.#clearCell();
  }

  clear(): void {
    this.#clearCell();
    this.#keep(() => false);
    write(this.#row, HELD_BACK, -1);
  }

  /** All hits, oldest first. */
  get hits(): readonly HitCell[] {
    const hits = this.#hitsIn(this.#oldestFirst());
    const count = read(this.#row, COUNT);
    if (count > 0) hits.push({ report: 0, hitMs: read(this.#row, HIT_MS), count, declined: read(this.#row, DECLINED) });
    return hits;
  }

  #hitsIn(some: readonly number[]): HitCell[] {
    const cells = this.#cells;
    return some.map((cell) => ({
      report: cells.read(cell, REPORT),
      hitMs: cells.read(cell, CELL_HIT_MS),
      count: cells.read(cell, CELL_COUNT),
      declined: cells.read(cell, CELL_DECLINED),
    }));
  }

  #isPending(cell: number): boolean {
    return this.#cells.read(cell, REPORT) === 0;
  }

  #newestFirst(): number[] {
    const all: number[] = [];
    for (let cell = read(this.#row, NEWEST_ENDED); cell !== NO_CELL; cell = this.#cells.read(cell, OLDER))
      all.push(cell);
    return all;
  }

  #oldestFirst(): number[] {
    return this.#newestFirst().reverse();
  }

  #cellStartOf(hitMs: number): number {
    return cellStartOf(hitMs, this.#grid.bucketMs);
  }

  #endCell(): void {
    const count = read(this.#row, COUNT);
    if (count === 0) return;
    const hitMs = read(this.#row, HIT_MS);
    this.#append(0, hitMs, count, read(this.#row, DECLINED));
    this.#clearCell();
    add(this.#row, PENDING, 1);
    if (read(this.#row, PENDING) > MOST_HITS) this.#merge(hitMs);
  }

  #clearCell(): void {
    write(this.#row, COUNT, 0);
    write(this.#row, DECLINED, 0);
  }

  /** The list begins with the newest cell, because to link the last one of it would be a cache miss. */
  #append(report: number, hitMs: number, count: number, declined: number): void {
    write(this.#row, NEWEST_ENDED, this.#cells.take(report, hitMs, count, declined, read(this.#row, NEWEST_ENDED)));
  }

  /** Drops the ended cells that don't meet `condition`. */
  #keep(condition: (cell: number) => boolean): void {
    const cells = this.#cells;
    let pending = 0;
    let newer = NO_CELL;
    for (let cell = read(this.#row, NEWEST_ENDED); cell !== NO_CELL; ) {
      const older = cells.read(cell, OLDER);
      if (condition(cell)) {
        if (this.#isPending(cell)) pending++;
        newer = cell;
      } else {
        if (newer === NO_CELL) write(this.#row, NEWEST_ENDED, older);
        else cells.write(newer, OLDER, older);
        cells.release(cell);
      }
      cell = older;
    }
    write(this.#row, PENDING, pending);
  }

  /** Makes one of each two neighbours that are pending: half as many are left, each as late as the later of the two. */
  #merge(nowMs: number): void {
    this.expire(nowMs);
    const cells = this.#cells;
    const all = this.#oldestFirst();
    for (let i = 1; i < all.length; i++) {
      const [older, newer] = [all[i - 1]!, all[i]!];
      if (!this.#isPending(older) || !this.#isPending(newer)) continue;
      cells.add(newer, cells.read(older, CELL_COUNT), cells.read(older, CELL_DECLINED));
      cells.write(older, CELL_COUNT, 0);
      i++;
    }
    this.#keep((cell) => cells.read(cell, CELL_COUNT) > 0);
  }
}

function acceptedIn(cells: Cells, cell: number): number {
  return cells.read(cell, CELL_COUNT) - cells.read(cell, CELL_DECLINED);
}
