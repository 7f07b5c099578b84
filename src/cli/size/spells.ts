// Cuts the requests of a log into spells, so that most of them needn't be replayed. Between two spells of a client is a
// pause of a window or longer, after which nothing of the first one counts. So a spell decides alone what is used in it
// and denied in it, and no more can be used in a window than the whole spell has.

/** Requests of one client, one after the other. */
export interface Piece {
  readonly client: number;
  /** More than this isn't used in any window of the spell; infinite where its end isn't known yet. */
  readonly most: number;
  /** The times and the costs of the first `length` requests. */
  readonly length: number;
  readonly times: Float64Array;
  readonly costs: Float64Array;
}

/**
 * Is given requests client by client, or all as of one client, and those of each client by their times. Always holds:
 * the piece has requests of one spell, and is the whole spell or is told with an infinite `most`.
 */
export class Spells {
  readonly #windowMs: number;
  readonly #tell: (piece: Piece) => void;
  readonly #merges: boolean;
  readonly #piece: { -readonly [Field in keyof Piece]: Piece[Field] };
  #lastMs = 0;

  /**
   * @param merges whether requests of the same time are told as one, where nobody decides about each of them
   * @param mostKept how many requests of a spell are kept while its end isn't known
   */
  constructor(windowMs: number, tell: (piece: Piece) => void, merges = false, mostKept = 2 ** 12) {
    this.#windowMs = windowMs;
    this.#tell = tell;
    this.#merges = merges;
    const costs = new Float64Array(mostKept);
    this.#piece = { client: -1, most: 0, length: 0, times: new Float64Array(mostKept), costs };
  }

  add(timeMs: number, client: number, cost: number): void {
    const piece = this.#piece;
    if (client !== piece.client || timeMs - this.#lastMs >= this.#windowMs) {
      this.end();
      piece.client = client;
      piece.most = 0;
    } else if (this.#merges && timeMs === this.#lastMs && piece.length > 0) {
      piece.costs[piece.length - 1]! += cost;
      piece.most += cost;
      return;
    } else if (piece.length === piece.times.length) {
      piece.most = Number.POSITIVE_INFINITY;
      this.end();
    }
    this.#lastMs = timeMs;
    piece.times[piece.length] = timeMs;
    piece.costs[piece.length++] = cost;
    piece.most += cost;
  }

  /** Tells what isn't told yet. */
  end(): void {
    if (this.#piece.length > 0) this.#tell(this.#piece);
    this.#piece.length = 0;
  }
}
