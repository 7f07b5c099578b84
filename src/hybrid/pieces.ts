// The pieces that a holder is made of, and the row that has their numbers.

import type { Rate } from "../core/rate.ts";
import { Cells } from "./cells.ts";
import { Demand } from "./demand.ts";
import { Lease } from "./lease.ts";
import { Outbox } from "./outbox.ts";
import { LIMIT, NO_WORDS, RATE, type RowOwner, Rows, read, USED } from "./rows.ts";
import { Visited } from "./scheduler.ts";
import { Snapshot } from "./snapshot.ts";
import type { Timing } from "./timing.ts";

/** What the holders of a limiter have together: the tables with their numbers. */
export class Memory<Owner extends RowOwner = RowOwner> {
  readonly rows: Rows<Owner> = new Rows<Owner>();
  readonly cells: Cells = new Cells();
}

/** What `Holder` extends. It only gives access: what the pieces mean to one another is in holder.ts. */
export abstract class Pieces extends Visited implements RowOwner {
  words: Float64Array = NO_WORDS;
  at = 0;
  row = 0;
  readonly key: string;
  protected readonly timing: Timing;
  readonly #memory: Memory;

  constructor(key: string, timing: Timing, memory: Memory) {
    super();
    this.key = key;
    this.timing = timing;
    this.#memory = memory;
    memory.rows.give(this);
  }

  // Each of these is a view of the row, and made anew for who asks. To keep it would be a cache miss for each call.
  get lease(): Lease {
    return new Lease(this);
  }

  get outbox(): Outbox {
    return new Outbox(this, this.timing, this.#memory.cells);
  }

  get demand(): Demand {
    return new Demand(this, this.timing);
  }

  get snapshot(): Snapshot {
    return new Snapshot(this, this.timing);
  }

  /** The rate of the last answer, or that a failure policy has decided at since. In the unknown state it is a guess. */
  get rate(): Rate {
    return read(this, RATE) as Rate;
  }

  /** The capacity at that rate. */
  get limit(): number {
    return read(this, LIMIT);
  }

  /** What is used of the capacity: accepted hits, here and elsewhere, and what others have leased. */
  get used(): number {
    return read(this, USED);
  }
}
