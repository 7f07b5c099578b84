// All requests of a log, in the order of their times, whatever the order of its lines; or client by client, and those
// of each client by their times. The first million stays in memory. Of more, each million is sorted and put into a
// temporary file of 16 bytes a request, and reading merges these runs. The file has no name from the beginning on, so
// it is gone with the process, however that ends.

import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { messageOf } from "../../core/errors.ts";
import { Failure } from "../command.ts";
import { printable } from "../text.ts";

/** A request is a time, 8 bytes, the number of its client and its cost, 4 bytes each. */
const REQUEST_BYTES = 16;
const RUN_LENGTH = 2 ** 20;
/** So many requests of a run are read at once. */
const BLOCK_LENGTH = 2 ** 12;

/** Requests beside one another in memory. */
class Requests {
  readonly bytes: Uint8Array;
  readonly #times: Float64Array;
  readonly #numbers: Uint32Array;

  constructor(length: number) {
    const buffer = new ArrayBuffer(length * REQUEST_BYTES);
    this.bytes = new Uint8Array(buffer);
    this.#times = new Float64Array(buffer);
    this.#numbers = new Uint32Array(buffer);
  }

  set(index: number, timeMs: number, client: number, cost: number): void {
    this.#times[2 * index] = timeMs;
    this.#numbers[4 * index + 2] = client;
    this.#numbers[4 * index + 3] = cost;
  }

  timeMs(index: number): number {
    return this.#times[2 * index]!;
  }

  client(index: number): number {
    return this.#numbers[4 * index + 2]!;
  }

  cost(index: number): number {
    return this.#numbers[4 * index + 3]!;
  }

  /** The first `length` of them; those that are equal by the order stay in theirs. */
  sorted(length: number, order: Order): Requests {
    const places = order === "time" ? this.#byTime(length) : this.#byClient(length);
    const sorted = new Requests(length);
    for (let index = 0; index < length; index++) {
      const from = places[index]!;
      sorted.set(index, this.timeMs(from), this.client(from), this.cost(from));
    }
    return sorted;
  }

  #byTime(length: number): ArrayLike<number> {
    const places = Uint32Array.from({ length }, (_, index) => index);
    return places.sort((one, other) => this.timeMs(one) - this.timeMs(other));
  }

  /** Numbers sort ten times as fast as by a function, and client and place fit into one. */
  #byClient(length: number): ArrayLike<number> {
    const keys = Float64Array.from({ length }, (_, index) => this.client(index) * length + index).sort();
    return keys.map((key) => key % length);
  }
}

/** `"client"` is client by client, and those of a client by their times. */
type Order = "time" | "client";

interface Run {
  /** Where the run is; a run in the file begins at the byte `offset`. */
  readonly place: Requests | { readonly offset: number };
  readonly length: number;
}

/** Where reading a run is. Always holds: `index` is less than `count`, which is how many requests `block` has. */
interface Cursor {
  readonly run: Run;
  block: Requests;
  count: number;
  index: number;
  /** How many requests of the run come after the block. */
  left: number;
}

/** Is told of each request. */
export type RequestReader = (timeMs: number, client: number, cost: number) => void;

/** Always holds: all runs are sorted, and `#current` has `#length` requests that are in no run. Reading comes last. */
export class Spool {
  readonly #order: Order;
  readonly #runLength: number;
  readonly #runs: Run[] = [];
  #current: Requests;
  #length = 0;
  #isSorted = true;
  #newestMs = Number.NEGATIVE_INFINITY;
  #file: number | undefined;
  #fileBytes = 0;

  /** @param order a spool by client has to be given its requests by their times */
  constructor(order: Order, runLength = RUN_LENGTH) {
    this.#order = order;
    this.#runLength = runLength;
    this.#current = new Requests(runLength);
  }

  add(timeMs: number, client: number, cost: number): void {
    if (this.#length === this.#runLength) this.#endRun();
    if (timeMs < this.#newestMs || this.#order === "client") this.#isSorted = false;
    else this.#newestMs = timeMs;
    this.#current.set(this.#length++, timeMs, client, cost);
  }

  /** Tells all requests in their order. Gives other work of the process a turn now and then. */
  async read(tell: RequestReader, onProgress: (share: number) => void = () => {}): Promise<void> {
    const total = this.#runs.reduce((sum, { length }) => sum + length, this.#length);
    const cursors = this.#openCursors();
    let told = 0;
    while (cursors.length > 0) {
      const cursor = cursors.shift()!;
      const { block, index: first } = cursor;
      const next = cursors[0];
      const end = Math.min(cursor.count, first + BLOCK_LENGTH);
      do {
        tell(block.timeMs(cursor.index), block.client(cursor.index), block.cost(cursor.index));
        cursor.index++;
      } while (cursor.index < end && (next === undefined || !this.#isBefore(next, cursor)));
      const toldBefore = told;
      told += cursor.index - first;
      if (cursor.index < cursor.count || this.#fill(cursor)) this.#insert(cursors, cursor);
      if (Math.floor(told / BLOCK_LENGTH) === Math.floor(toldBefore / BLOCK_LENGTH)) continue;
      onProgress(told / total);
      await setImmediate();
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #endRun(): void {
    const { bytes } = this.#sortedCurrent();
    this.#write(bytes);
    this.#runs.push({ place: { offset: this.#fileBytes }, length: this.#length });
    this.#fileBytes += bytes.length;
    this.#length = 0;
    this.#newestMs = Number.NEGATIVE_INFINITY;
  }

  /** @throws {Failure} because the log isn't to blame for a folder that is full, or isn't there */
  #write(bytes: Uint8Array): void {
    try {
      this.#file ??= openNamelessFile();
      for (let written = 0; written < bytes.length; ) {
        const position = this.#fileBytes + written;
        written += writeSync(this.#file, bytes, written, bytes.length - written, position);
      }
    } catch (error) {
      const place = `temporary files can't be written in ${printable(tmpdir())}`;
      throw new Failure(`${place}, which TMPDIR names: ${printable(messageOf(error), 200)}`);
    }
  }

  #sortedCurrent(): Requests {
    if (!this.#isSorted) this.#current = this.#current.sorted(this.#length, this.#order);
    this.#isSorted = true;
    return this.#current;
  }

  /** A cursor for each run, in the order of their first requests. */
  #openCursors(): Cursor[] {
    const runs: Run[] = [...this.#runs, { place: this.#sortedCurrent(), length: this.#length }];
    const cursors: Cursor[] = [];
    for (const run of runs) {
      if (run.length === 0) continue;
      const cursor: Cursor = { run, block: this.#current, count: 0, index: 0, left: run.length };
      this.#fill(cursor);
      this.#insert(cursors, cursor);
    }
    return cursors;
  }

  /** Reads the next block of a run. @returns whether there is one */
  #fill(cursor: Cursor): boolean {
    const { run } = cursor;
    if (cursor.left === 0) return false;
    if (run.place instanceof Requests) {
      Object.assign(cursor, { block: run.place, count: run.length, index: 0, left: 0 });
      return true;
    }
    if (cursor.block === this.#current) cursor.block = new Requests(Math.min(BLOCK_LENGTH, run.length));
    const count = Math.min(BLOCK_LENGTH, cursor.left);
    const offset = run.place.offset + (run.length - cursor.left) * REQUEST_BYTES;
    const bytes = count * REQUEST_BYTES;
    for (let read = 0; read < bytes; ) {
      const more = readSync(this.#file!, cursor.block.bytes, read, bytes - read, offset + read);
      if (more === 0) throw new Error("the temporary file is shorter than what was written to it");
      read += more;
    }
    cursor.count = count;
    cursor.index = 0;
    cursor.left -= count;
    return true;
  }

  #isBefore({ block, index }: Cursor, { block: otherBlock, index: otherIndex }: Cursor): boolean {
    if (this.#order === "client") {
      const clients = block.client(index) - otherBlock.client(otherIndex);
      if (clients !== 0) return clients < 0;
    }
    return block.timeMs(index) < otherBlock.timeMs(otherIndex);
  }

  /** Puts a cursor to its place, by halving. */
  #insert(cursors: Cursor[], cursor: Cursor): void {
    let from = 0;
    let to = cursors.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#isBefore(cursor, cursors[middle]!)) to = middle;
      else from = middle + 1;
    }
    cursors.splice(from, 0, cursor);
  }
}

function openNamelessFile(): number {
  const folder = mkdtempSync(join(tmpdir(), "trypema-"));
  try {
    return openSync(join(folder, "requests"), "wx+", 0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
