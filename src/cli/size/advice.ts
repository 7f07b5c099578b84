// Which limits a log speaks for. The rule is plain, so that a reader can disagree with it: twice what 99 % of the
// clients had in their busiest window, or 95 % of few clients. Clients grow, and a log of some days hasn't their
// busiest day.

import { counted, duration, grouped, percent, roughDuration } from "../text.ts";
import { type LogFacts, PERCENTILES, type Recommendation, type RecommendedLimit, type WindowReport } from "./report.ts";

const HEADROOM = 2;
/** A limit is one of these numbers, times a power of ten. */
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
/** Of fewer clients the busiest one is among the 99 %, and it may be a bot. */
const FEW_CLIENTS = 100;
/** Of fewer clients it is among the 95 % too. */
const TOO_FEW_CLIENTS = 20;
/** Suppression is smooth from this capacity on; docs/suppression.md has the measurements. */
const SMOOTH_CAPACITY = 256;

/** Up to which percentile clients count as usual. */
export function usualPercentile(clients: number): "p95" | "p99" {
  return clients < FEW_CLIENTS ? "p95" : "p99";
}

/** Twice `usual`, rounded up to a round number. */
export function recommendedLimit(usual: number): number {
  const least = HEADROOM * usual;
  const power = 10 ** Math.floor(Math.log10(least));
  const round = ROUND.find((factor) => Number.isInteger(factor * power) && factor * power >= least);
  return (round ?? 10) * power;
}

export function advise(facts: LogFacts, windows: readonly WindowReport[]): Recommendation {
  // In a log of whole seconds the busiest second isn't known, but the busiest minute nearly is.
  const known = windows.filter(
    ({ isLongerThanLog, windowMs }) => !isLongerThanLog && !(facts.hasWholeSeconds && windowMs === 1_000),
  );
  const [burst, ...longer] = known;
  if (burst === undefined) return { limits: [], remarks: [tooShort(facts), ...remarksOn(facts)] };
  const binding = longer.filter((window) => isTighter(window, burst));
  const quota = binding.at(-1);
  const limits = [recommend("burst", burst, facts), ...(quota === undefined ? [] : [recommend("quota", quota, facts)])];
  const remarks = remarksOn(facts);
  if (quota === undefined && longer.length > 0) {
    remarks.unshift(
      `A second limit for a longer window would add nothing: ${duration(burst.windowMs)} binds before it.`,
    );
  }
  return { limits, remarks };
}

/** Whether the limit of a longer window is ever reached by a client that keeps the one of the shorter window. */
function isTighter(longer: WindowReport, shorter: WindowReport): boolean {
  return longer.recommended < shorter.recommended * (longer.windowMs / shorter.windowMs);
}

function recommend(name: RecommendedLimit["name"], window: WindowReport, facts: LogFacts): RecommendedLimit {
  const { windowMs, bucketMs, recommended: limit, busiest, limits } = window;
  const { absolute, suppressed } = limits.find((one) => one.limit === limit)!;
  const unit = facts.counts === "costs" ? "a cost of " : "";
  const usual = usualPercentile(facts.clients);
  const reasons = [
    `${percent(PERCENTILES[usual])} of the clients had at most ${unit}${grouped(busiest[usual])} in ` +
      `${duration(windowMs)}; the limit is twice that, rounded up.`,
    absolute.deniedRequests === 0
      ? `Nobody in this log would have been denied: the busiest client had ${unit}${grouped(busiest.max)}.`
      : `It would have denied ${counted(absolute.deniedRequests, "request")} (${percent(absolute.deniedShare)}) of ` +
        `${counted(absolute.deniedClients, "client")} under absolute, and ` +
        `${counted(suppressed.deniedRequests, "request")} under suppressed.`,
  ];
  if (absolute.deniedRequests > 0 && limit < SMOOTH_CAPACITY) {
    reasons.push(`Take absolute: suppression is smooth from a limit of ${SMOOTH_CAPACITY} on.`);
  }
  return { name, windowMs, bucketMs, limit, reasons };
}

function tooShort({ spanMs }: LogFacts): string {
  const span = roughDuration(spanMs);
  return `The log covers ${span}, which is too little to recommend a limit: take a log of a day or more.`;
}

function remarksOn({ clients, hasWholeSeconds, spanMs }: LogFacts): string[] {
  const remarks: string[] = [];
  if (clients < TOO_FEW_CLIENTS) {
    remarks.push(
      `With ${counted(clients, "client")} the log can't tell usual clients from unusual ones: ` +
        "the 95 % include the busiest.",
    );
  } else if (clients < FEW_CLIENTS) {
    remarks.push(
      `With ${counted(clients, "client")} the 99 % would include the busiest, which may be unusual, so 95 % are taken.`,
    );
  }
  if (hasWholeSeconds) {
    remarks.push(
      "The log has times in whole seconds, so a burst may have been in two of them: " +
        "a window of 1 s has up to twice what is told.",
    );
  }
  if (spanMs < 7 * 86_400_000 && spanMs >= 3_600_000) {
    remarks.push(
      `The log covers ${roughDuration(spanMs)}. A week has busier days: look at one before you limit a day.`,
    );
  }
  return remarks;
}
