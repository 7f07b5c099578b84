// Which limiters a handler has: those of the module, as its controller and then the handler itself change them.

import type { ExecutionContext } from "@nestjs/common";
import { show, TrypemaError } from "../../core/errors.ts";
import type { LimiterDefinition } from "../../http/index.ts";
import type { Cost, DecoratedLimiter, Marks } from "./decorators.ts";

/** A limiter of Nest. Its functions get a request whose `raw` is the `ExecutionContext`. */
export type NestLimiter = LimiterDefinition<ExecutionContext>;

/** What the decorators of one place say, and the place: what its limiters count is counted for it. */
export interface Level {
  readonly marks: Marks;
  readonly scope: string;
}

interface Entry {
  readonly definition: NestLimiter;
  readonly isSkipped: boolean;
}

/**
 * The limiters of a handler.
 *
 * @param common those of the module
 * @param levels the controller, the classes that it extends before it, then the handler
 * @throws {TrypemaError} `INVALID_OPTION` for a name that no limiter has
 */
export function limitersOf(common: readonly NestLimiter[], levels: readonly Level[]): readonly NestLimiter[] {
  const entries = new Map<string, Entry>();
  for (const definition of common) entries.set(nameOf(definition), { definition, isSkipped: false });
  // What the levels so far say that a call costs for all limiters, so also for those that a later level adds.
  let cost: Cost | undefined;
  for (const { marks, scope } of levels) {
    applyMarks(entries, marks, scope, cost);
    if (marks.cost !== undefined && typeof marks.cost !== "object") cost = marks.cost;
  }
  return [...entries.values()].filter(({ isSkipped }) => !isSkipped).map(({ definition }) => definition);
}

export function nameOf({ name = "default" }: { readonly name?: string }): string {
  return name;
}

/** Skips first, so that a limiter in the same place holds. Costs come last, so that they are for all limiters. */
function applyMarks(
  entries: Map<string, Entry>,
  { skip, limiters = [], cost }: Marks,
  scope: string,
  costOfAdded: Cost | undefined,
): void {
  const change = (name: string, changed: Partial<Entry>) => entries.set(name, { ...entries.get(name)!, ...changed });
  for (const [name, isSkipped] of byName("SkipRateLimit", skip, entries, scope)) change(name, { isSkipped });
  for (const own of limiters) {
    const name = nameOf(own);
    const replaced = entries.get(name)?.definition ?? (costOfAdded === undefined ? {} : { cost: costOfAdded });
    entries.set(name, { definition: merged(replaced, own, scope), isSkipped: false });
  }
  for (const [name, ownCost] of byName("RateLimitCost", cost, entries, scope)) {
    change(name, { definition: { ...entries.get(name)!.definition, cost: ownCost } });
  }
}

/** What a decorator says, by limiter. A value that isn't an object is for each. */
function byName<T extends boolean | number | ((...args: never[]) => unknown)>(
  decorator: string,
  given: T | Readonly<Record<string, T>> | undefined,
  entries: ReadonlyMap<string, Entry>,
  scope: string,
): readonly (readonly [string, T])[] {
  const names = [...entries.keys()];
  if (given === undefined) return [];
  if (typeof given !== "object") return names.map((name) => [name, given]);
  const unknown = Object.keys(given).find((name) => !entries.has(name));
  if (unknown === undefined) return Object.entries(given);
  const known = names.join(", ") || "none";
  throw new TrypemaError(
    "INVALID_OPTION",
    `@${decorator} on ${scope}: got ${show(unknown)}, expected one of the limiters there: ${known}`,
  );
}

/** A limiter in place of another one, from which it has what it leaves out. */
function merged(replaced: Partial<NestLimiter>, own: DecoratedLimiter, scope: string): NestLimiter {
  const { rate, limit, bucketMs, ...inherited } = replaced;
  const amount = own.rate === undefined && own.limit === undefined ? { rate, limit } : {};
  // A bucket that suits the one window may be longer than the other.
  const bucket = own.windowMs === undefined ? { bucketMs } : {};
  const all = { ...inherited, ...amount, ...bucket, ...own, scope };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as unknown as NestLimiter;
}
