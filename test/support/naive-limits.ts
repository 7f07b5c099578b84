// Several limits as the specification has them, each in plain arrays of its own.

import type { Decision, LimiterOptions, Rate } from "trypema";
import { createNaiveProvider } from "./naive-provider.ts";

export interface NaiveLimit {
  readonly limit: number;
  readonly windowMs: number;
  readonly bucketMs: number;
  readonly strategy: "absolute" | "suppressed";
  readonly blockMs: number;
}

/** What is asked of each limit, by its name. */
export interface NaiveAsk {
  readonly key: string;
  count: number;
  readonly limit: number;
}

export interface NaiveTaken {
  readonly allowed: boolean;
  readonly deniedBy: string | undefined;
  readonly retryAfterMs: number;
  readonly decisions: Readonly<Record<string, Decision>>;
}

export class NaiveLimits {
  readonly #limits: Readonly<Record<string, NaiveLimit>>;
  readonly #limiters: Readonly<Record<string, ReturnType<typeof createNaiveProvider>["absolute" | "suppressed"]>>;

  constructor(limits: Readonly<Record<string, NaiveLimit>>, options: Required<Omit<LimiterOptions, "onEvent">>) {
    this.#limits = limits;
    this.#limiters = Object.fromEntries(
      Object.entries(limits).map(([name, { windowMs, bucketMs, strategy }]) => [
        name,
        createNaiveProvider({ ...options, windowMs, bucketMs })[strategy],
      ]),
    );
  }

  limiter(name: string) {
    return this.#limiters[name]!;
  }

  /** Counts so much more or less, whether the key has a history or not. */
  correct(name: string, { key, limit }: NaiveAsk, delta: number): void {
    const limiter = this.limiter(name);
    if (limiter.adjust(key, delta) > 0 || delta < 0) return;
    limiter.setIf(key, this.#rateOf(name, limit), { op: "always" }, delta);
  }

  #rateOf(name: string, limit: number): Rate {
    return ((limit * 1_000) / this.#limits[name]!.windowMs) as Rate;
  }

  take(asks: Readonly<Record<string, NaiveAsk>>): NaiveTaken {
    const { isTaken, decisions } = this.#takeTogether(asks, true);
    const denials = Object.entries(decisions).filter(([, decision]) => !decision.allowed);
    const retryAfterMs = Math.max(0, ...denials.map(([, decision]) => decision.retryAfterMs));
    const deniedBy = denials.find(([, decision]) => decision.retryAfterMs === retryAfterMs)?.[0];
    return { allowed: isTaken, deniedBy, retryAfterMs, decisions };
  }

  /**
   * The same where each key is in a slot of its own: they are asked one after the other, each as of the time of the
   * take, and what was counted is given back when a later one denies. Returns whether each limit admits it.
   *
   * @param clock the time of the limits
   * @param meanwhile what comes between two slots; the clock may go on then. It is told what wasn't asked yet
   */
  takeInTurn(
    asks: Readonly<Record<string, NaiveAsk>>,
    clock: { nowMs: number },
    meanwhile: (unasked: readonly [name: string, NaiveAsk][]) => void,
  ): Readonly<Record<string, boolean>> {
    const keys = new Set(Object.values(asks).map(({ key }) => key));
    const slots = Array.from(keys, (key) => Object.entries(asks).filter(([, ask]) => ask.key === key));
    slots.sort((one, other) => this.#turnOf(one) - this.#turnOf(other));
    const takenMs = clock.nowMs;
    const admitted: Record<string, boolean> = {};
    const counted: [string, NaiveAsk][] = [];
    let isTaken = true;
    for (const [turn, slot] of slots.entries()) {
      if (turn > 0) meanwhile(slots.slice(turn).flat());
      const presentMs = clock.nowMs;
      clock.nowMs = takenMs;
      const { decisions, isTaken: isTakenThere } = this.#takeTogether(Object.fromEntries(slot), isTaken);
      clock.nowMs = presentMs;
      for (const [name, { allowed }] of Object.entries(decisions)) admitted[name] = allowed;
      isTaken = isTakenThere;
      if (isTaken) counted.push(...slot);
      else for (const [name, ask] of counted.splice(0)) this.#giveBack(name, ask, takenMs);
    }
    return admitted;
  }

  /** Slots with limits that block come last, and those with suppressed limits before them. */
  #turnOf(slot: readonly [name: string, NaiveAsk][]): number {
    const limits = slot.map(([name]) => this.#limits[name]!);
    if (limits.some(({ blockMs }) => blockMs > 0)) return 2;
    return limits.some(({ strategy }) => strategy === "suppressed") ? 1 : 0;
  }

  #giveBack(name: string, { key, count }: NaiveAsk, takenMs: number): void {
    if (count > 0) this.limiter(name).giveBack(key, count, takenMs, this.#limits[name]!.strategy === "suppressed");
  }

  /** Takes from all, if all admit it and no limit elsewhere has denied it. */
  #takeTogether(asks: Readonly<Record<string, NaiveAsk>>, isTakenElsewhere: boolean) {
    const weighed = Object.entries(asks).map(([name, { key, count, limit }]) => {
      const rate = this.#rateOf(name, limit);
      return { name, key, count, rate, decision: this.limiter(name).weigh(key, rate, count) };
    });
    const isTaken = isTakenElsewhere && weighed.every(({ decision }) => decision.allowed);
    const decisions: Readonly<Record<string, Decision>> = Object.fromEntries(
      weighed.map(({ name, key, count, rate, decision }) => {
        const { blockMs } = this.#limits[name]!;
        return [name, this.limiter(name).conclude(key, rate, count, decision, isTaken, blockMs)];
      }),
    );
    return { isTaken, decisions };
  }
}
