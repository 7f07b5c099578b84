import type { Rate } from "../core/rate.ts";
import { capacityIn } from "../strategy/capacity.ts";
import type { SuppressedView, WindowView } from "../strategy/view.ts";
import { fieldsOf } from "./commands.ts";
import { PEEK, type PeekReply } from "./lua.generated.ts";
import { isShare, isTotal, isWait, isWhole, isWithin, misfit, numberFrom } from "./reply.ts";

/** A known key's window as a script saw it. It has only what the decision about the call needs that the script knew. */
export class Peek implements WindowView, SuppressedView {
  readonly #fields: PeekReply;

  constructor(fields: PeekReply) {
    this.#fields = fields;
  }

  get used(): number {
    const { total, declined, leased } = this.#fields;
    return total - declined + leased;
  }

  get observed(): number {
    return this.#fields.total;
  }

  get declined(): number {
    return this.#fields.declined;
  }

  get rate(): Rate {
    return this.#fields.rate as Rate;
  }

  get oldestExpiresInMs(): number {
    return this.#fields.oldestExpiresInMs;
  }

  get oldestExpiresWithHitInMs(): number {
    return this.#fields.oldestExpiresWithHitInMs;
  }

  /** How long the key is still blocked; 0 if it isn't. */
  get blockedMs(): number {
    return this.#fields.blockedMs;
  }

  get oldestAccepted(): number {
    return this.#fields.oldestAccepted;
  }

  waitMsFor(): number {
    return this.#fields.waitMs;
  }

  freedWith(): number {
    return this.#fields.freed;
  }

  keptFactor(maxAgeMs: number): number {
    return this.#fields.keptFactorAgeMs < maxAgeMs ? this.#fields.keptFactor : -1;
  }

  recentPerSecond(): number {
    return this.#fields.recentPerSecond;
  }
}

/**
 * What a reply of PEEK says; undefined for an unknown key.
 *
 * @throws {TrypemaError} `BACKEND_SCRIPT` for a reply that no key has
 */
export function peekFrom(reply: unknown, windowMs: number): Peek | undefined {
  if (numberFrom(reply) === 0) return undefined;
  const peek = fieldsOf(PEEK, reply);
  const { total, declined, leased } = peek;
  const isSound =
    capacityIn(peek.rate, windowMs) >= 1 &&
    isTotal(total) &&
    isWithin(declined, total) &&
    isWait(peek.waitMs) &&
    isWithin(peek.freed, total + leased) &&
    isWait(peek.oldestExpiresInMs) &&
    isWait(peek.oldestExpiresWithHitInMs) &&
    isWithin(peek.oldestAccepted, total - declined) &&
    isWait(peek.recentPerSecond) &&
    isShare(peek.keptFactor) &&
    // It is younger than now where the server's clock was set back.
    !Number.isNaN(peek.keptFactorAgeMs) &&
    isWhole(leased) &&
    isWait(peek.blockedMs);
  if (isSound) return new Peek(peek);
  throw misfit(reply);
}
