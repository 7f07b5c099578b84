// Who is limited now: a bounded list of the keys with the most denials, for an operator. It is beside all decisions.
//
// Time goes by in spans. Each span has a sketch of its own, and two are kept: so the list has what was denied in this
// span and in the one before. With Redis each process sends its denials there every few seconds, and Redis keeps such
// spans too, by its own time.

import { TrypemaError } from "./errors.ts";
import { type Family, familyOf } from "./family.ts";
import { sha256Of } from "./hash.ts";
import { checkOptions, integerOption } from "./options.ts";
import { merged, NOTHING, Sketch, type Summary } from "./sketch.ts";
import type { TallyOf } from "./tally.ts";
import { BackgroundTimer } from "./timer.ts";
import type { Provider } from "./types.ts";

/** How long a span is. @internal */
export const SPAN_MS = 300_000;
/** The largest size. @internal */
export const MOST_KEYS = 1_000;
/** How long denials wait until they are sent to Redis. */
const SEND_MS = 5_000;
/** A hash is cut to so many digits: 64 bits. */
const HASH_DIGITS = 16;

/** The options of {@link trackLimitedKeys}. */
export interface LimitedKeysOptions {
  /**
   * How many keys are kept, 1 to 1000. Default 100. Of N denials, each key with more than N / `size` is kept. Give all
   * processes the same number.
   */
  readonly size?: number;
  /**
   * Whether the list and Redis have the keys themselves. Default false: they have the first 16 digits of a key's
   * SHA-256, which are the same in all processes. A person who can guess a key can check the guess, and addresses can
   * be guessed.
   */
  readonly plain?: boolean;
}

/** A key that was denied, by one limit. */
export interface LimitedKey {
  /** The limit's name in `createLimits` or in HTTP; `""` for the provider's own limiters. */
  readonly name: string;
  /** The limit's strategy. */
  readonly strategy: "absolute" | "suppressed";
  /** The limit's window. */
  readonly windowMs: number;
  /** The key, or the first 16 digits of its SHA-256; see `plain`. */
  readonly key: string;
  /**
   * How many calls were denied in the last five to ten minutes, by this process and, as far as they have sent them, by
   * others. The number is never too low, and at most `errorAtMost` too high.
   */
  readonly denied: number;
  /** How much `denied` may be too high, because the key was not in the list all the time. */
  readonly errorAtMost: number;
}

/** The list of the keys with the most denials. Made by {@link trackLimitedKeys}. */
export interface LimitedKeys {
  /**
   * Returns the keys that all processes with the same Redis and prefix have denied most, the most denied first. On
   * Local it returns the keys of this process. Other processes send their denials every five seconds.
   *
   * @throws {TrypemaError} as a rejection: `BACKEND_UNAVAILABLE`, `BACKEND_TIMEOUT`, `BACKEND_SCRIPT`
   */
  list(): Promise<readonly LimitedKey[]>;
  /** Returns the same for this process only, without asking Redis. */
  listOfProcess(): Promise<readonly LimitedKey[]>;
  /** Stops counting and sending. */
  stop(): void;
}

/**
 * Keeps a bounded list of the keys with the most denials, for a provider and the providers of its `withWindow`. It
 * counts the calls that a limit denies, also calls to blocked keys. A denied take counts only for the limits that deny
 * it. When the provider is closed, it sends the remaining counts to Redis.
 *
 * @example
 * const provider = createLocalProvider();
 * const limited = trackLimitedKeys(provider, { plain: true });
 * for (let i = 0; i < 7; i++) provider.absolute.inc("ann", perMinute(5));
 * const [first] = await limited.list();
 * console.log(first?.key, first?.denied); // ann 2
 *
 * @throws {TrypemaError} `INVALID_OPTION`, also for a provider whose keys are already tracked
 */
export function trackLimitedKeys(provider: Provider, options: LimitedKeysOptions = {}): LimitedKeys {
  checkOptions("options", options, ["size", "plain"]);
  const { size, plain = false } = options;
  if (typeof plain !== "boolean") throw new TrypemaError("INVALID_OPTION", "plain: expected true or false");
  if (!plain && globalThis.crypto?.subtle === undefined) {
    throw new TrypemaError(
      "INVALID_OPTION",
      "plain: expected true, because there is no crypto.subtle here to hash with",
    );
  }
  const family = familyOf(provider);
  if (family === undefined) throw new TrypemaError("INVALID_OPTION", "provider: expected a provider of this package");
  if (family.watch.onDenial !== undefined) {
    throw new TrypemaError("INVALID_OPTION", "provider: its keys are tracked already; stop() ends that");
  }
  return new KeyTracker(family, integerOption("size", size, 100, 1, MOST_KEYS), plain);
}

/**
 * These always hold:
 * - Of each kept span there are `#size` counters at most, and of what is to be sent too.
 * - What is sent is no older than a span, however long Redis is away.
 */
class KeyTracker implements LimitedKeys {
  readonly #family: Family;
  readonly #size: number;
  readonly #plain: boolean;
  readonly #forgetClose: () => void;
  readonly #timer = new BackgroundTimer(() => void this.#sendInBackground());
  /** How the ids of each limit's keys begin. */
  readonly #starts = new Map<TallyOf, string>();
  #span = 0;
  #thisSpan: Sketch;
  #spanBefore: Summary = NOTHING;
  #unsent: Sketch;
  /** When the oldest of the unsent denials was. */
  #unsentSinceMs = 0;

  constructor(family: Family, size: number, plain: boolean) {
    this.#family = family;
    this.#size = size;
    this.#plain = plain;
    this.#thisSpan = new Sketch(size);
    this.#unsent = new Sketch(size);
    this.#forgetClose = family.watch.atClose(() => this.#close());
    family.tellDenials((limit, key) => this.#add(limit, key));
  }

  async list(): Promise<readonly LimitedKey[]> {
    const { sharedDenials } = this.#family;
    if (sharedDenials === undefined) return this.listOfProcess();
    const unsent = await this.#written(this.#takeUnsent());
    const spans = await sharedDenials.addAndRead(unsent, this.#size, SPAN_MS);
    return limitedKeysOf(merged(spans, this.#size));
  }

  async listOfProcess(): Promise<readonly LimitedKey[]> {
    this.#carryOn(this.#nowMs());
    return limitedKeysOf(await this.#written(merged([this.#thisSpan.summary, this.#spanBefore], this.#size)));
  }

  stop(): void {
    this.#family.tellDenials(undefined);
    this.#forgetClose();
    this.#timer.stop();
  }

  #add(limit: TallyOf, key: string): void {
    const nowMs = this.#nowMs();
    const id = `${this.#startOf(limit)}${key}`;
    this.#carryOn(nowMs);
    this.#thisSpan.add(id);
    if (this.#family.sharedDenials !== undefined) this.#addUnsent(id, nowMs);
  }

  #addUnsent(id: string, nowMs: number): void {
    this.#dropOld(nowMs);
    if (this.#unsent.isEmpty) {
      this.#unsentSinceMs = nowMs;
      this.#timer.start(SEND_MS);
    }
    this.#unsent.add(id);
  }

  /** What couldn't be sent for a whole span says no longer who is limited now. */
  #dropOld(nowMs: number): void {
    if (!this.#unsent.isEmpty && nowMs > this.#unsentSinceMs + SPAN_MS) this.#unsent = new Sketch(this.#size);
  }

  #startOf(limit: TallyOf): string {
    let start = this.#starts.get(limit);
    if (start === undefined) {
      start = startOfId(limit);
      this.#starts.set(limit, start);
    }
    return start;
  }

  /** Begins a new span where its time has come. */
  #carryOn(nowMs: number): void {
    const span = Math.floor(nowMs / SPAN_MS);
    if (span === this.#span) return;
    this.#spanBefore = span === this.#span + 1 ? this.#thisSpan.summary : NOTHING;
    this.#thisSpan = new Sketch(this.#size);
    this.#span = span;
  }

  /** The time of the present call by the family's clock. A user's clock that throws must not do so here. */
  #nowMs(): number {
    try {
      return this.#family.nowMs();
    } catch {
      return this.#span * SPAN_MS;
    }
  }

  #takeUnsent(): Summary {
    this.#dropOld(this.#nowMs());
    const { summary } = this.#unsent;
    this.#unsent = new Sketch(this.#size);
    return summary;
  }

  /** Sends what is unsent. What gets lost on the way is lost, because Redis may have counted it. Never rejects. */
  async #sendInBackground(): Promise<void> {
    const { sharedDenials } = this.#family;
    if (sharedDenials === undefined || this.#unsent.isEmpty) return;
    if (!sharedDenials.isReachable) return this.#timer.start(SEND_MS);
    try {
      await sharedDenials.add(await this.#written(this.#takeUnsent()), this.#size, SPAN_MS);
    } catch {
      // The failure is in `stats()`, as that of any call to Redis.
    }
  }

  async #close(): Promise<void> {
    this.#timer.stop();
    await this.#sendInBackground();
  }

  /** A summary as others may see it. */
  async #written({ counters, floor }: Summary): Promise<Summary> {
    if (this.#plain) return { counters, floor };
    const hashed = counters.map(async (counter) => ({ ...counter, id: await hashedId(counter.id) }));
    return { counters: await Promise.all(hashed), floor };
  }
}

/** A key's id begins with its limit: the same key of two limits is two. */
function startOfId({ name, strategy, windowMs }: TallyOf): string {
  return `${strategy[0]}:${windowMs}:${encodeURIComponent(name)}:`;
}

const ID = /^([as]):([\d.]+):([^:]*):(.+)$/s;

async function hashedId(id: string): Promise<string> {
  const [, letter, windowMs, name, key = ""] = ID.exec(id)!;
  return `${letter}:${windowMs}:${name}:${await hashOfKey(key)}`;
}

/** What a list has in place of a key. @internal */
export async function hashOfKey(key: string): Promise<string> {
  return (await sha256Of(key)).slice(0, HASH_DIGITS);
}

/** @internal */
export function limitedKeysOf({ counters }: Summary): readonly LimitedKey[] {
  return counters.flatMap(({ id, count, error }) => {
    const found = ID.exec(id);
    if (found === null) return [];
    const [, letter, windowMs, name = "", key = ""] = found;
    const strategy = letter === "a" ? "absolute" : "suppressed";
    const limit = { name: decodeURIComponent(name), strategy, windowMs: Number(windowMs) } as const;
    return [{ ...limit, key, denied: count, errorAtMost: error }];
  });
}
