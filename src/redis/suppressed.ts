import { weightOf } from "../core/family.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import { allowed, suppressed } from "../strategy/decision.ts";
import {
  admittedByDraw,
  decideSuppressed,
  deniedByFactor,
  drawAdmits,
  factorOfNext,
  type SuppressedRule,
  suppressedRuleOf,
} from "../strategy/suppressed.ts";
import type { SuppressedView } from "../strategy/view.ts";
import type { CallTerms } from "./batch.ts";
import { RepliesOf } from "./commands.ts";
import { type Counting, type DecidedCall, RedisLimiter } from "./limiter.ts";
import { SUPPRESSED_INC } from "./lua.generated.ts";
import { admissionFrom, blockFrom, isShare, isWait, isWhole, isWithin, misfit } from "./reply.ts";

/**
 * Denies a random share of the calls that grows with the overload, so that the admitted load stays at the limit. It has
 * the methods of {@link SuppressedLimiter}, which return promises.
 */
export class RedisSuppressed extends RedisLimiter implements SuppressedLimiter {
  /** @internal */
  readonly countsDenied = true;
  /**
   * Fresh draws that a script was given and had no use for. The next calls take them, so as many are drawn as on Local.
   */
  readonly #draws: number[] = [];
  readonly #suppressions = new RepliesOf(SUPPRESSED_INC);
  #lastRule: SuppressedRule | undefined;

  async getSuppressionFactor(key: string): Promise<number> {
    return (await this.get(key)).suppressionFactor;
  }

  /** The decision about a call over the soft limit, made of what the script saw, as on Local. */
  #decideFrom(reply: unknown, rule: SuppressedRule, call: DecidedCall, counting: Counting): Decision {
    const count = weightOf(call.count);
    const draw = call.draw!;
    const { admitted, accepted: used, scaledFactor, wait, oldestAccepted } = this.#suppressions.read(reply);
    const factor = scaledFactor / 2 ** 53;
    const usedWithCall = used + count;
    const isSound = isWhole(used) && isShare(factor) && isWait(wait) && isWithin(oldestAccepted, usedWithCall);
    const isOver = usedWithCall > rule.limit && (usedWithCall <= rule.hardLimit || factor === 1);
    const isAdmitted = drawAdmits(factor, () => draw);
    if (!isSound || !isOver || admitted !== (isAdmitted ? 1 : 0)) throw misfit(reply);
    if (factor === 1) this.#keepDraw(call);
    const oldestExpiresInMs = this.waitMsFrom(wait);
    // Where a call is admitted and not counted, because another limit denied the take, it leaves as much as there was.
    const usedThen = counting === "counted" ? used + call.count : used;
    if (isAdmitted) return admittedByDraw(rule, usedThen, oldestExpiresInMs, factor);
    return deniedByFactor({ used, oldestAccepted, oldestExpiresInMs }, rule, count, factor, oldestExpiresInMs);
  }

  protected termsOf(rate: Rate, limit: number, count: number): CallTerms {
    const { suppressionCacheMs } = this.settings;
    const { hardLimit } = this.#ruleOf(rate);
    return this.makeTerms(SUPPRESSED_INC, { count, limit, rate, hardLimit, suppressionCacheMs, draw: 0 });
  }

  protected draw(): number {
    return this.#draws.pop() ?? this.settings.random();
  }

  /** The script had no use for the draw of the call. */
  #keepDraw({ draw, isDrawFresh }: DecidedCall): void {
    if (isDrawFresh) this.#draws.push(draw!);
  }

  /** @internal */
  concluded(reply: unknown, call: DecidedCall, counting: Counting): Decision {
    const { rate, count } = call;
    const rule = this.#ruleOf(rate);
    if (!Array.isArray(reply)) {
      const counted = counting === "not counted" ? 0 : count;
      const { used, moreAfterMs } = admissionFrom(reply, counted, rule.limit, this.settings.windowMs);
      this.#keepDraw(call);
      return allowed(rule.limit, counting === "given back" ? used - counted : used, moreAfterMs);
    }
    const block = blockFrom(reply, this.settings.windowMs);
    if (block === undefined) return this.#decideFrom(reply, rule, call, counting);
    this.#keepDraw(call);
    return this.rejectByReply(block, rate, weightOf(count));
  }

  protected mostOf(rate: Rate): number {
    return this.#ruleOf(rate).hardLimit;
  }

  protected foresee(window: SuppressedView, rate: Rate, count: number): Decision {
    return decideSuppressed(window, this.#ruleOf(rate), count, () => this.draw());
  }

  protected factor(window: SuppressedView, rate: Rate): number {
    return factorOfNext(window, this.#ruleOf(rate));
  }

  /** @internal */
  deny(limit: number): Decision {
    const { timeoutMs } = this.settings;
    return suppressed(false, limit, 0, timeoutMs, 0, timeoutMs, 1);
  }

  #ruleOf(rate: Rate): SuppressedRule {
    if (this.#lastRule?.rate !== rate) this.#lastRule = suppressedRuleOf(rate, this.settings);
    return this.#lastRule;
  }
}
