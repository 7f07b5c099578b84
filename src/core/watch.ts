// What one family of providers counts and tells: the one source of events, of `stats()`, and of all metrics.

import { systemClock } from "./clock.ts";
import { messageOf, type TrypemaError, type TrypemaErrorCode, withHelp } from "./errors.ts";
import { checkOnEvent, type DegradedEvent, eventOf, type OnEvent, type ProviderEvent, reasonOf } from "./events.ts";
import { Gathered } from "./gathered.ts";
import { Outage } from "./outage.ts";
import { type OnDenial, Tally, type TallyOf } from "./tally.ts";
import { type WarningCode, warn } from "./warning.ts";

/** Plain numbers that only grow. Who does a thing adds to its number. */
export class Counts {
  // Of Local.
  evictions = 0;
  sweeps = 0;
  sweptKeys = 0;
  sweepingMs = 0;
  // Of Redis.
  breakerOpenings = 0;
  timeouts = 0;
  failures = 0;
  scripts = 0;
  scriptCalls = 0;
  /** Calls that the failure policy decided about, and calls whose error it left to the caller. */
  degraded = 0;
  failed = 0;
  // Of Hybrid.
  waited = 0;
  reports = 0;
  reportsLost = 0;
  /** Accepted counts that were reported, and those that Redis has granted as leases. */
  reported = 0;
  granted = 0;
}

type Listener = (event: ProviderEvent) => unknown;

/**
 * Always holds: an event is made only while somebody listens. Listeners are called in a microtask of their own, because
 * an event is raised in the middle of a decision, which a listener's calls to the same provider would disturb.
 */
export class Watch {
  readonly counts = new Counts();
  /** How warnings name the provider, because a program may have several. */
  subject = "a provider";
  readonly #tallies = new Map<string, Tally>();
  readonly #clock: () => number;
  readonly #outage = new Outage();
  /** Whether a warning says when a failure policy begins to decide. */
  readonly #warns: boolean;
  readonly #listeners = new Set<Listener>();
  /** There are some while anybody has ever listened. */
  #gathered: GatheredEvents | undefined;
  #untold: ProviderEvent[] = [];
  #openedMs = 0;
  #degradedBy: Pick<DegradedEvent, "policy" | "code"> = { policy: "allow", code: "BACKEND_UNAVAILABLE" };
  #hasFailedListener = false;
  #onDenial: OnDenial | undefined;
  readonly #closing = new Set<() => Promise<void>>();

  /** @throws {TrypemaError} `INVALID_OPTION` */
  constructor(onEvent: OnEvent | undefined, clock = systemClock) {
    checkOnEvent(onEvent);
    this.#clock = clock;
    this.#warns = onEvent === undefined;
    if (typeof onEvent === "function") this.listen(onEvent);
  }

  /** Has `listener` told of all events from now on. Returns what ends that. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#gathered ??= this.#makeGathered();
    return () => this.#listeners.delete(listener);
  }

  /** The calls of a limit. Limits that differ in nothing else have one tally. */
  tallyOf(limit: TallyOf): Tally {
    const id = `${limit.strategy}:${limit.windowMs}:${limit.name}`;
    let tally = this.#tallies.get(id);
    if (tally === undefined) {
      tally = new Tally(limit);
      tally.tellDenials(this.#onDenial);
      this.#tallies.set(id, tally);
    }
    return tally;
  }

  get tallies(): readonly Tally[] {
    return [...this.#tallies.values()];
  }

  /** Whom denials are told; nobody at first. */
  get onDenial(): OnDenial | undefined {
    return this.#onDenial;
  }

  /** Has denials of all limits told from now on, or nobody with undefined. */
  set onDenial(onDenial: OnDenial | undefined) {
    this.#onDenial = onDenial;
    for (const tally of this.#tallies.values()) tally.tellDenials(onDenial);
  }

  /** Has `end` called when the providers are closed. It never rejects. Returns what takes that back. */
  atClose(end: () => Promise<void>): () => void {
    this.#closing.add(end);
    return () => this.#closing.delete(end);
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#closing, (end) => end()));
  }

  noteEviction(): void {
    this.counts.evictions++;
    if (this.#listens) this.#gathered?.evictions.add();
  }

  noteSweep(keys: number, durationMs: number): void {
    this.counts.sweeps++;
    this.counts.sweptKeys += keys;
    this.counts.sweepingMs += durationMs;
    if (this.#listens) this.#tell(eventOf({ type: "swept", keys, durationMs }));
  }

  noteOpened(error: TrypemaError): void {
    this.counts.breakerOpenings++;
    this.#openedMs = this.#clock();
    if (this.#listens) this.#tell(eventOf({ type: "breaker-opened", code: error.code, reason: reasonOf(error) }));
  }

  noteClosed(): void {
    if (this.#listens) this.#tell(eventOf({ type: "breaker-closed", openMs: this.#clock() - this.#openedMs }));
  }

  noteTimeout(): void {
    this.counts.timeouts++;
    if (this.#listens) this.#gathered?.timeouts.add();
  }

  noteLostReport(): void {
    this.counts.reportsLost++;
    if (this.#listens) this.#gathered?.lostReports.add();
  }

  /** The failure policy decides about a call. */
  noteDegraded(policy: DegradedEvent["policy"], code: TrypemaErrorCode): void {
    this.counts.degraded++;
    const begins = this.#outage.addCall(this.#clock());
    if (this.#listens) {
      this.#degradedBy = { policy, code };
      this.#gathered?.degraded.add();
    }
    if (begins)
      this.#warn(
        "DEGRADED",
        `Redis fails (${code}): the failure policy "${policy}" decides about calls of ${this.subject}`,
      );
  }

  /** Whether the failure policy decides about calls, or did a little while ago. */
  get isDegraded(): boolean {
    return this.#outage.lasts;
  }

  /** Redis has answered a call, while {@link isDegraded}. */
  noteAnswer(): void {
    const past = this.#outage.endAt(this.#clock());
    if (past === undefined) return;
    if (this.#listens) this.#tell(eventOf({ type: "recovered", ...past }));
    this.#warn(
      "RECOVERED",
      `Redis answers again: the failure policy has decided about calls of ${this.subject} (${past.calls})`,
    );
  }

  get #listens(): boolean {
    return this.#listeners.size > 0;
  }

  #makeGathered(): GatheredEvents {
    const gather = (make: (count: number) => ProviderEvent) =>
      new Gathered(this.#clock, (count) => this.#tell(make(count)));
    return {
      evictions: gather((keys) => eventOf({ type: "evicted", keys })),
      timeouts: gather((calls) => eventOf({ type: "timeout", calls })),
      lostReports: gather((reports) => eventOf({ type: "reports-lost", reports })),
      degraded: gather((calls) => eventOf({ type: "degraded", calls, ...this.#degradedBy })),
    };
  }

  #tell(event: ProviderEvent): void {
    if (this.#untold.push(event) === 1) void Promise.resolve().then(() => this.#tellAll());
  }

  #tellAll(): void {
    const events = this.#untold;
    this.#untold = [];
    for (const event of events) for (const listener of this.#listeners) void this.#call(listener, event);
  }

  async #call(listener: Listener, event: ProviderEvent): Promise<void> {
    try {
      await listener(event);
    } catch (error) {
      if (!this.#hasFailedListener) {
        const text = `onEvent failed (this warning comes only once): ${messageOf(error)}`;
        this.#hasFailedListener = true;
        this.#warn("LISTENER_FAILED", text);
      }
    }
  }

  #warn(code: WarningCode, text: string): void {
    if (this.#warns || code === "LISTENER_FAILED") warn(code, withHelp(text, code));
  }
}

type GatheredEvents = Readonly<Record<"evictions" | "timeouts" | "lostReports" | "degraded", Gathered>>;
