// Random schedules of calls, as fast-check makes and shrinks them.

import fc from "fast-check";
import { type Condition, type History, type Limiter, type Provider, perSecond, type Rate, unlimited } from "trypema";

/** One call of any method, and how long before it nothing happened. */
export type Step = { readonly waitMs: number; readonly strategy: "absolute" | "suppressed"; readonly key: string } & (
  | { readonly method: "inc"; readonly rate: Rate; readonly count: number }
  | { readonly method: "isAllowed"; readonly count: number; readonly rate: Rate | undefined }
  | { readonly method: "get" | "delete" | "clear" | "getSuppressionFactor" | "unblock" }
  | { readonly method: "setRate"; readonly rate: Rate }
  | { readonly method: "block"; readonly ms: number }
  | { readonly method: "adjust"; readonly delta: number }
  | {
      readonly method: "setIf";
      readonly rate: Rate;
      readonly condition: Condition;
      readonly count: number;
      readonly history: History;
    }
);

/** Windows and buckets of every relation: equal, dividing each other or not, a single millisecond. */
export const sizes = fc
  .record({
    windowMs: fc.constantFrom(1, 7, 100, 1_000, 2_500, 10_000),
    bucketShare: fc.constantFrom(0, 0.001, 0.03, 0.1, 0.5, 1),
  })
  .map(({ windowMs, bucketShare }) => ({ windowMs, bucketMs: Math.max(1, windowMs * bucketShare) }));

/** Capacities of 1 to 40 in any of the windows above. */
export function rates(windowMs: number) {
  return fc.integer({ min: 1, max: 40 }).map((capacity) => perSecond((capacity * 1_000) / windowMs));
}

/** At the start of a cell of the grid, or somewhere within one. */
export const startsMs = fc.constantFrom<number>(1_000_000, 1_234_567, -1_000_000, -1_234);

/**
 * What the calls of a schedule are about: any key and strategy, or nearly always one key, which is hit in one bucket
 * after the other. By calls about anything a key seldom has more than two live buckets. Redis keeps some of them in a
 * list from the eleventh on.
 */
export type Subject = "anything" | "absolute" | "suppressed";

export const subjects = fc.constantFrom<Subject>("anything", "anything", "absolute", "suppressed");

/** Mostly within a bucket or a window, sometimes past it. A whole bucket leads from one start of a cell to another. */
export function waits(windowMs: number, bucketMs: number, subject: Subject = "anything") {
  return fc.oneof(
    { arbitrary: fc.constant(0), weight: 4 },
    { arbitrary: fc.integer({ min: 0, max: Math.ceil(bucketMs) }), weight: 4 },
    { arbitrary: fc.constant(bucketMs), weight: subject === "anything" ? 1 : 100 },
    { arbitrary: fc.integer({ min: 0, max: Math.ceil(windowMs / 4) }), weight: 3 },
    { arbitrary: fc.integer({ min: 0, max: Math.ceil(windowMs * 2) }), weight: 1 },
  );
}

const histories = fc.constantFrom<History>("replace", "preserve-newest", "preserve-oldest");
const conditions = fc.record({
  op: fc.constantFrom("lt", "gt", "eq", "ne", "always"),
  value: fc.integer({ min: 0, max: 30 }),
});

export function steps(windowMs: number, bucketMs: number): fc.Arbitrary<Step[]> {
  return subjects.chain((subject) => fc.array(step(windowMs, bucketMs, subject), { maxLength: 120 }));
}

export function step(windowMs: number, bucketMs: number, subject: Subject): fc.Arbitrary<Step> {
  const isAboutAnything = subject === "anything";
  const call = fc.record({
    waitMs: waits(windowMs, bucketMs, subject),
    strategy: isAboutAnything ? fc.constantFrom("absolute", "suppressed") : fc.constant(subject),
    key: isAboutAnything ? fc.constantFrom("a", "b") : fc.constantFrom("a", "a", "a", "a", "a", "b"),
  });
  const rate = fc.oneof(
    { arbitrary: rates(windowMs), weight: 20 },
    { arbitrary: fc.constant(unlimited()), weight: isAboutAnything ? 1 : 10 },
  );
  const count = fc.oneof(
    { arbitrary: fc.constant(1), weight: 3 },
    { arbitrary: fc.integer({ min: 1, max: 12 }), weight: 1 },
  );
  const method = fc.oneof(
    {
      arbitrary: fc.record({ method: fc.constant("inc" as const), rate, count }),
      weight: isAboutAnything ? 12 : 60,
    },
    {
      arbitrary: fc.record({
        method: fc.constant("isAllowed" as const),
        count,
        rate: fc.option(rate, { nil: undefined }),
      }),
      weight: 2,
    },
    { arbitrary: fc.record({ method: fc.constantFrom("get", "getSuppressionFactor") }), weight: 2 },
    { arbitrary: fc.record({ method: fc.constantFrom("delete", "clear", "unblock") }), weight: 1 },
    { arbitrary: fc.record({ method: fc.constant("setRate" as const), rate }), weight: 1 },
    {
      arbitrary: fc.record({
        method: fc.constant("block" as const),
        ms: fc.integer({ min: 1, max: Math.ceil(windowMs * 1.5) }),
      }),
      weight: 1,
    },
    {
      arbitrary: fc.record({ method: fc.constant("adjust" as const), delta: fc.integer({ min: -15, max: 15 }) }),
      weight: 2,
    },
    {
      arbitrary: fc.record({
        method: fc.constant("setIf" as const),
        rate,
        condition: conditions,
        count: fc.integer({ min: 0, max: 50 }),
        history: histories,
      }),
      weight: 2,
    },
  );
  return fc.tuple(call, method).map(([common, specific]) => ({ ...common, ...specific }) as Step);
}

/** Gives every step the rate of the first that has one: Hybrid decides more without Redis then. */
export function atOneRate(all: readonly Step[]): readonly Step[] {
  const rate = all.find((each) => "rate" in each)?.rate;
  return all.map((each) => ("rate" in each && rate !== undefined ? { ...each, rate } : each));
}

/** Surges: far over the limit of 5, with pauses about as long as the span of recent calls, and no ceiling. */
export const surges = fc
  .oneof(
    fc.record({
      windowMs: fc.constant(500),
      bucketMs: fc.constantFrom(10, 100),
      waitsMs: fc.constant([0, 1, 30, 60, 150, 200, 250, 300, 450, 500]),
    }),
    fc.record({
      windowMs: fc.constant(10_000),
      bucketMs: fc.constantFrom(10, 100, 700, 1_000, 3_000),
      waitsMs: fc.constant([0, 1, 60, 300, 950, 1_000, 1_050, 4_000, 9_000, 10_000]),
    }),
  )
  .chain(({ waitsMs, ...size }) =>
    fc.record({
      size: fc.constant(size),
      suppressionCacheMs: fc.constantFrom(0, 300, 100_000),
      steps: fc.array(
        fc.record({
          waitMs: fc.constantFrom(...waitsMs),
          method: fc.constantFrom("inc", "inc", "inc", "adjust", "setIf", "look"),
          count: fc.integer({ min: 1, max: 30 }),
        }),
        { maxLength: 80, size: "max" },
      ),
      seed: fc.nat(),
    }),
  );

/** Makes the call that a surge describes. */
export function surge(
  { method, count }: { readonly method: string; readonly count: number },
  limiter: Pick<Limiter, "inc" | "adjust" | "setIf">,
  windowMs: number,
): unknown {
  const rate = perSecond(5_000 / windowMs);
  if (method === "inc") return limiter.inc("k", rate, count);
  if (method === "adjust") return limiter.adjust("k", 15 - count);
  if (method === "setIf") return limiter.setIf("k", rate, { op: "lt", value: 80 }, count, "preserve-newest");
  return undefined;
}

/** Makes the call that a step describes. */
export function take(step: Step, provider: Provider): unknown {
  const limiter = provider[step.strategy];
  switch (step.method) {
    case "inc":
      return limiter.inc(step.key, step.rate, step.count);
    case "isAllowed":
      return limiter.isAllowed(step.key, step.count, step.rate);
    case "adjust":
      return limiter.adjust(step.key, step.delta);
    case "setIf":
      return limiter.setIf(step.key, step.rate, step.condition, step.count, step.history);
    case "setRate":
      return limiter.setRate(step.key, step.rate);
    case "block":
      return limiter.block(step.key, step.ms);
    case "clear":
      return limiter.clear();
    case "getSuppressionFactor":
      return provider.suppressed.getSuppressionFactor(step.key);
    default:
      return limiter[step.method](step.key);
  }
}
