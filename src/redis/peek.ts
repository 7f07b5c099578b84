import type { Rate } from "../core/rate.ts";
import { capacityIn } from "../strategy/capacity.ts";
import { fieldsFrom, isShare, isTotal, isWait, isWhole, isWithin, misfit, numberFrom } from "./reply.ts";

/**
 * What PEEK tells of a known key, in the order of its reply: also how long until enough has expired for the call and
 * how much that is, the factor that was computed last and its age, Infinity for none, and what hybrid processes have
 * leased.
 */
const PEEK_FIELDS = [
  "rate",
  "total",
  "declined",
  "waitMs",
  "freed",
  "oldestExpiresInMs",
  "oldestAccepted",
  "recentPerSecond",
  "keptFactor",
  "keptFactorAgeMs",
  "leased",
] as const;

export type Peek = Readonly<Record<(typeof PEEK_FIELDS)[number], number>> & { readonly rate: Rate };

/** What PEEK would tell of an unknown key, but for the rate, which it hasn't. */
export const NEVER_SEEN: Omit<Peek, "rate"> = Object.freeze({
  ...(Object.fromEntries(PEEK_FIELDS.map((name) => [name, 0])) as Record<(typeof PEEK_FIELDS)[number], number>),
  keptFactorAgeMs: Number.POSITIVE_INFINITY,
});

/**
 * What a reply of PEEK says; undefined for an unknown key.
 *
 * @throws {TrypemaError} `BACKEND_SCRIPT` for a reply that no key has
 */
export function peekFrom(reply: unknown, windowMs: number): Peek | undefined {
  if (numberFrom(reply) === 0) return undefined;
  const peek = fieldsFrom(reply, PEEK_FIELDS) as Peek;
  const { total, declined, leased } = peek;
  const isSound =
    capacityIn(peek.rate, windowMs) >= 1 &&
    isTotal(total) &&
    isWithin(declined, total) &&
    isWait(peek.waitMs) &&
    isWithin(peek.freed, total + leased) &&
    isWait(peek.oldestExpiresInMs) &&
    isWithin(peek.oldestAccepted, total - declined) &&
    isWait(peek.recentPerSecond) &&
    isShare(peek.keptFactor) &&
    // It is younger than now where the server's clock was set back.
    !Number.isNaN(peek.keptFactorAgeMs) &&
    isWhole(leased);
  if (isSound) return peek;
  throw misfit(reply);
}
