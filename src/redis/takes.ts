// Takes on Redis: several calls that are all admitted and counted, or none is. One script decides a take. In a Cluster
// keys of different slots can't share a script, so there the slots are asked one after the other, and what was taken is
// given back when a later slot denies.

import { setAdjuster } from "../core/adjuster.ts";
import type { TrypemaError } from "../core/errors.ts";
import { type Ask, familyOf, type TakeDecisions } from "../core/family.ts";
import { checkKey } from "../core/key.ts";
import { type Tally, tallied } from "../core/tally.ts";
import type { Decision } from "../core/types.ts";
import { allowed, markDegraded } from "../strategy/decision.ts";
import { luaNumber } from "./commands.ts";
import { applyPolicy, isBackendFailure } from "./failure.ts";
import type { DecidedCall, RedisLimiter } from "./limiter.ts";
import type { OpenRedis } from "./open.ts";
import { misfit, numberFrom } from "./reply.ts";
import { slotOf } from "./slot.ts";
import { TELL_TIME } from "./take-plan.ts";

/** An ask, and its place in the take. */
interface PlacedAsk {
  readonly ask: Ask;
  readonly place: number;
}

/** What became of a take, and why the failure policy decided it, if it did. */
export interface TakenOrNot extends TakeDecisions {
  readonly failure?: TrypemaError;
}

/**
 * Which part of a take asks share a script: one that may have to be given back, the last one, or one after a denial,
 * which counts nothing.
 */
type Turn = "first" | "last" | "denied";

/** What was decided about asks that share a script, and what of: each list is in the order of the asks. */
interface Decided {
  readonly decisions: readonly Decision[];
  readonly calls: readonly DecidedCall[];
  readonly replies: readonly unknown[];
  /** When they were counted, by the clock that the scripts go by; means nothing where that is never given back. */
  readonly countedMs: number;
}

/** An ask that was admitted and counted, and may have to be given back. */
interface TakenAsk extends PlacedAsk {
  readonly call: DecidedCall;
  readonly reply: unknown;
  readonly countedMs: number;
}

export class Takes {
  readonly #redis: OpenRedis;
  /** Set for good where something in between lets no keys of several slots through together. */
  #isBySlot: boolean;

  constructor(redis: OpenRedis) {
    this.#redis = redis;
    this.#isBySlot = redis.backend.isBySlot;
  }

  async take(asks: readonly Ask[]): Promise<TakenOrNot> {
    for (const { key } of asks) checkKey(key);
    const takenMs = this.#redis.settings.clock.now();
    try {
      return made(tallied(asks, await this.#decide(asks, takenMs), tallyOf), takenMs);
    } catch (error) {
      applyPolicy(error, this.#redis.policy, this.#redis.watch);
      return { ...made(this.decideInstead(asks), takenMs), failure: error as TrypemaError };
    }
  }

  /** What the failure policy decides, which isn't `"throw"`. */
  decideInstead(asks: readonly Ask[]): readonly Decision[] {
    const isLocal = this.#redis.policy === "local";
    const decisions = isLocal ? this.#takeLocally(asks) : asks.map((ask) => this.#fixed(ask));
    return tallied(asks, decisions, tallyOf);
  }

  async #decide(asks: readonly Ask[], nowMs: number): Promise<readonly Decision[]> {
    if (!this.#isBySlot) {
      try {
        return (await this.#decideTogether(asks, nowMs, "last")).decisions;
      } catch (error) {
        // Nothing was executed.
        if (!/\bCROSSSLOT\b/.test(String(error)) || asks.length === 1) throw error;
        this.#isBySlot = true;
      }
    }
    return this.#decideInTurn(groupsBySlot(asks), nowMs);
  }

  async #decideInTurn(groups: readonly (readonly PlacedAsk[])[], nowMs: number): Promise<readonly Decision[]> {
    const decisions: Decision[] = [];
    const taken: TakenAsk[] = [];
    let isDenied = false;
    for (const group of groups) {
      const asks = group.map(({ ask }) => ask);
      const turn = isDenied ? "denied" : group === groups.at(-1) ? "last" : "first";
      let decided: Decided;
      try {
        decided = await this.#decideTogether(asks, nowMs, turn);
      } catch (error) {
        if (isDenied && isBackendFailure(error)) {
          for (const { ask, place } of group) decisions[place] = unknownOf(ask);
          continue;
        }
        await this.#giveBack(taken, false);
        throw error;
      }
      for (const [index, { place }] of group.entries()) decisions[place] = decided.decisions[index]!;
      if (isDenied) continue;
      isDenied = decided.decisions.some(({ allowed }) => !allowed);
      if (isDenied) {
        // Nothing is taken any longer, so a slot that fails later has nothing given back. The take stays denied.
        const before = taken.splice(0);
        await this.#giveBack(before, true);
        for (const one of before) decisions[one.place] = givenBack(one);
      } else {
        const { calls, replies, countedMs } = decided;
        taken.push(
          ...group.map((placed, index) => ({ ...placed, call: calls[index]!, reply: replies[index], countedMs })),
        );
      }
    }
    return decisions;
  }

  /** Never rejects: what can't be given back expires with its window. */
  async #giveBack(taken: readonly TakenAsk[], isDenied: boolean): Promise<void> {
    const counted = taken.filter(({ ask }) => ask.count > 0);
    await Promise.allSettled(
      counted.map(({ ask, countedMs }) => limiterOf(ask).giveBack(ask.key, ask.count, isDenied, countedMs)),
    );
  }

  async #decideTogether(asks: readonly Ask[], nowMs: number, turn: Turn): Promise<Decided> {
    const { backend, settings } = this.#redis;
    const calls = asks.map((ask) => limiterOf(ask).askOf(ask));
    const keys = calls.flatMap((call) => call.keys);
    const isToldTime = turn === "first" && settings.callersClock === undefined;
    const clock = settings.callersClock !== undefined ? [luaNumber(nowMs)] : isToldTime ? [TELL_TIME] : [];
    const isDenied = turn === "denied";
    const replies = await backend.take({ keys, asks: calls, isDenied, clock });
    if (!Array.isArray(replies) || replies.length !== asks.length + (isToldTime ? 1 : 0)) throw misfit(replies);
    const ofAsks = replies.slice(0, asks.length);
    const countedMs = isToldTime ? numberFrom(replies.at(-1)) : nowMs;
    if (!Number.isFinite(countedMs)) throw misfit(replies);
    const counting = !isDenied && ofAsks.every(isAdmission) ? "counted" : "not counted";
    const decisions = asks.map((ask, index) => limiterOf(ask).concluded(replies[index], calls[index]!, counting));
    return { decisions, calls, replies, countedMs };
  }

  /** What the Local provider decides that stands in for Redis. */
  #takeLocally(asks: readonly Ask[]): readonly Decision[] {
    const family = familyOf(this.#redis.local())!;
    const local = asks.map((ask) => ({ ...ask, limiter: limiterOf(ask).standIn }));
    const { decisions } = family.take(local) as TakeDecisions;
    return decisions.map((decision, index) => setAdjuster(markDegraded(decision), local[index]!.limiter));
  }

  /** What the failure policies `"allow"` and `"deny"` decide. */
  #fixed(ask: Ask): Decision {
    const limiter = limiterOf(ask);
    const limit = limiter.limitFor(ask.rate);
    return markDegraded(this.#redis.policy === "allow" ? allowed(limit, 0, 0) : limiter.deny(limit));
  }
}

function made(decisions: readonly Decision[], takenMs: number): TakeDecisions {
  return { isTaken: decisions.every(({ allowed }) => allowed), decisions, takenMs };
}

function tallyOf(ask: Ask): Tally {
  return limiterOf(ask).tally;
}

function limiterOf({ limiter }: Ask): RedisLimiter {
  return limiter as RedisLimiter;
}

/** What is said of a limit that could not be asked, where another one has denied the take: it denies nothing. */
function unknownOf(ask: Ask): Decision {
  return markDegraded(allowed(limiterOf(ask).limitFor(ask.rate), 0, 0));
}

/** A list is a denial, unless it says that suppression admitted the call. */
function isAdmission(reply: unknown): boolean {
  return !Array.isArray(reply) || (reply.length === 5 && numberFrom(reply[0]) === 1);
}

/** The asks of each slot, in the order in which the slots are asked; see {@link turnOf}. */
function groupsBySlot(asks: readonly Ask[]): readonly (readonly PlacedAsk[])[] {
  const groups = new Map<number, PlacedAsk[]>();
  for (const [place, ask] of asks.entries()) {
    const slot = slotOf(limiterOf(ask).redisKey(ask.key));
    const group = groups.get(slot) ?? [];
    groups.set(slot, group);
    group.push({ ask, place });
  }
  return [...groups.values()].sort((one, other) => turnOf(one) - turnOf(other));
}

/**
 * What the last slot counts is never given back. So slots with limits that block come last: a count that is going to be
 * given back may deny another call, and that would block the key. Slots with suppressed limits come before, because a
 * denied take counts there too, as declined.
 */
function turnOf(group: readonly PlacedAsk[]): number {
  if (group.some(({ ask }) => ask.blockMs > 0)) return 2;
  return group.some(({ ask }) => limiterOf(ask).countsDenied) ? 1 : 0;
}

/** The decision about an ask that was admitted, and given back because another one was denied. */
function givenBack({ ask, call, reply }: TakenAsk): Decision {
  return limiterOf(ask).concluded(reply, { ...call, isDrawFresh: false }, "given back");
}
