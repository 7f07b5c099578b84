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
    const weighed = Object.entries(asks).map(([name, { key, count, limit }]) => {
      const rate = this.#rateOf(name, limit);
      return { name, key, count, rate, decision: this.limiter(name).weigh(key, rate, count) };
    });
    const isTaken = weighed.every(({ decision }) => decision.allowed);
    const decisions = Object.fromEntries(
      weighed.map(({ name, key, count, rate, decision }) => {
        const { blockMs } = this.#limits[name]!;
        return [name, this.limiter(name).conclude(key, rate, count, decision, isTaken, blockMs)];
      }),
    );
    const denials = Object.entries(decisions).filter(([, decision]) => !decision.allowed);
    const retryAfterMs = Math.max(0, ...denials.map(([, decision]) => decision.retryAfterMs));
    const deniedBy = denials.find(([, decision]) => decision.retryAfterMs === retryAfterMs)?.[0];
    return { allowed: isTaken, deniedBy, retryAfterMs, decisions };
  }
}
