// The numbers that a limiter keeps of its keys: a row of 256 bytes for each holder, four cache lines. In an object V8
// keeps each number that isn't a small whole one as an object of its own. With many keys each such object is a cache
// miss for a call, and work for the garbage collector.
//
//   words  0 to 13                        14 to 31
//         +------------------------------+---------------------------------------+
//         | what the short way of a call | what only reports and answers, or few |
//         | looks at and changes         | calls look at                         |
//         +------------------------------+---------------------------------------+
//
// Each word belongs to one piece of a holder, which says what holds of it: holder.ts, lease.ts, snapshot.ts, outbox.ts
// or demand.ts. The short way (short-way.ts) changes words of several of them at once.

import { NO_CELL } from "./cells.ts";

/** Where a row lies. The row may be moved, so whoever keeps this object looks at both fields each time. */
export interface Row {
  readonly words: Float64Array;
  readonly at: number;
}

// Of the holder.
export const RATE = 0;
export const IS_STEADY = 1;
export const HOLDS_UNTIL_MS = 2;
export const MOST_AHEAD_MS = 3;
export const USED = 4;
export const CALLED = 7;
export const LIMIT = 14;
export const IS_RATE_TOLD = 30;

// Of the lease.
export const LEFT = 5;
export const GIVEN_UP = 17;
export const HEADROOM = 18;
export const ASKED = 19;
export const LEASE_EXPIRY_MS = 20;
export const GONE_MS = 21;

// Of the snapshot.
export const FIRST_EXPIRY_MS = 6;
export const BUCKETS = 15;
export const FIRST_ACCEPTED = 22;
export const SECOND_EXPIRY_MS = 23;
export const SECOND_ACCEPTED = 24;
export const IS_SHARED = 25;

// Of the outbox.
export const COUNT = 8;
export const DECLINED = 9;
export const HIT_MS = 10;
export const SURE_UNTIL_MS = 11;
export const NEWEST_ENDED = 12;
export const PENDING = 13;
export const HELD_BACK = 16;

// Of the demand.
export const RECENT = 26;
export const IS_SCARCE = 27;
export const REPORTED_MS = 28;
export const CALLED_MS = 29;

const WORDS = 32;

/** A new row: nothing was ever leased, called or reported. */
const BLANK = new Float64Array(WORDS);
BLANK[FIRST_EXPIRY_MS] = Number.POSITIVE_INFINITY;
BLANK[SECOND_EXPIRY_MS] = Number.POSITIVE_INFINITY;
BLANK[NEWEST_ENDED] = NO_CELL;
BLANK[HELD_BACK] = -1;
for (const word of [LEASE_EXPIRY_MS, GONE_MS, REPORTED_MS, CALLED_MS]) BLANK[word] = Number.NEGATIVE_INFINITY;

/** A chunk has so many rows. The first one starts smaller and doubles, so that a limiter of a few keys stays small. */
const CHUNK_BITS = 10;
const CHUNK_ROWS = 1 << CHUNK_BITS;
const FIRST_ROWS = 16;

/** Who has a row. The fields that aren't read-only are for {@link Rows} alone to change. */
export interface RowOwner extends Row {
  readonly key: string;
  words: Float64Array;
  at: number;
  /** Which of the rows it is. */
  row: number;
}

/**
 * Gives rows and takes them back. Always holds: the owners have the rows 0 to `size` - 1, in their order. To take one
 * back moves the last row into its place, so memory follows the number of keys.
 *
 * One row may be selected: then this is a view of it, until rows are given or taken back.
 */
export class Rows<Owner extends RowOwner = RowOwner> implements Row {
  readonly #chunks: Float64Array[] = [];
  readonly #owners: Owner[] = [];
  words: Float64Array = NO_WORDS;
  at = 0;

  get size(): number {
    return this.#owners.length;
  }

  select(row: number): void {
    this.words = this.#chunks[row >>> CHUNK_BITS]!;
    this.at = (row & (CHUNK_ROWS - 1)) * WORDS;
  }

  /** Who has a row that is given. */
  ownerOf(row: number): Owner {
    return this.#owners[row]!;
  }

  /** All of them, in the order of their rows. */
  get owners(): readonly Owner[] {
    return this.#owners;
  }

  /** Takes all rows back. Who still has one may use it to the end, because no other key gets its memory. */
  clear(): void {
    this.#owners.length = 0;
    this.#chunks.length = 0;
    this.words = NO_WORDS;
  }

  /** Gives `owner` a new row. */
  give(owner: Owner): void {
    const row = this.#owners.length;
    this.#makeRoom(row);
    this.#owners.push(owner);
    this.#place(owner, row);
    owner.words.set(BLANK, owner.at);
  }

  /**
   * Takes the row of `owner` back, who goes on with a copy: somebody may still wait for an answer about its key.
   *
   * @returns the owner whose row has moved into its place, if any
   */
  takeBack(owner: Owner): Owner | undefined {
    const { row, words, at } = owner;
    const last = this.#owners.pop()!;
    owner.words = words.slice(at, at + WORDS);
    owner.at = 0;
    if (last !== owner) {
      words.set(last.words.subarray(last.at, last.at + WORDS), at);
      this.#owners[row] = last;
      this.#place(last, row);
    }
    // One empty chunk may stay, so that a number of keys that swings about a chunk's end doesn't allocate all the time.
    const needed = this.size === 0 ? 0 : ((this.size + CHUNK_ROWS - 1) >>> CHUNK_BITS) + 1;
    if (this.#chunks.length > needed) this.#chunks.length = needed;
    return last === owner ? undefined : last;
  }

  #place(owner: Owner, row: number): void {
    owner.words = this.#chunks[row >>> CHUNK_BITS]!;
    owner.at = (row & (CHUNK_ROWS - 1)) * WORDS;
    owner.row = row;
  }

  #makeRoom(row: number): void {
    const index = row >>> CHUNK_BITS;
    const old = this.#chunks[index];
    if (old === undefined) {
      this.#chunks[index] = new Float64Array((index === 0 ? FIRST_ROWS : CHUNK_ROWS) * WORDS);
    } else if (row * WORDS === old.length && index === 0) {
      const chunk = new Float64Array(2 * old.length);
      chunk.set(old);
      this.#chunks[0] = chunk;
      for (const owner of this.#owners) owner.words = chunk;
    }
  }
}

/** For who is about to be given a row. */
export const NO_WORDS: Float64Array = new Float64Array(0);

/** A new row that lies alone. */
export function rowAlone(): Row {
  return { words: BLANK.slice(), at: 0 };
}

// These are functions, because methods that the pieces inherit from one class would cost a call to a hot key half as
// much again: V8 would compile them once for all pieces.

export function read(row: Row, word: number): number {
  return row.words[row.at + word]!;
}

export function write(row: Row, word: number, value: number): void {
  row.words[row.at + word] = value;
}

export function add(row: Row, word: number, value: number): void {
  row.words[row.at + word]! += value;
}
