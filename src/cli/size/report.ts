// What `size` finds, in the form that `--json` prints. Texts of the log are in it as they are.

import type { BrokenLine } from "./reader.ts";
import type { SizedWindow } from "./replay.ts";

export interface Report extends LogFacts {
  readonly windows: readonly WindowReport[];
  readonly recommendation: Recommendation;
}

export interface LogFacts {
  readonly logs: readonly string[];
  readonly lines: number;
  readonly requests: number;
  /** Requests of a cost of 0, which no limit counts. */
  readonly free: number;
  readonly clients: number;
  /** What the limits count: requests, or the sum of their costs. */
  readonly counts: "requests" | "costs";
  readonly from: string;
  readonly to: string;
  readonly spanMs: number;
  /** In a log with whole seconds a burst of a second may be in two of them. */
  readonly hasWholeSeconds: boolean;
  readonly broken: { readonly lines: number; readonly first: readonly BrokenLine[] };
  /** Logs that ended early, and why. */
  readonly cutOff: readonly string[];
}

/** The shares of the clients whose busiest windows are told: a limit at `p99` is enough for 99 % of the clients. */
export const PERCENTILES = { p50: 0.5, p95: 0.95, p99: 0.99, p999: 0.999, max: 1 } as const;
export type Percentile = keyof typeof PERCENTILES;

export interface WindowReport extends SizedWindow {
  /** Whether the log is shorter than the window. Then the window has all that the log has. */
  readonly isLongerThanLog: boolean;
  /** What clients had in their busiest windows. */
  readonly busiest: Readonly<Record<Percentile, number>>;
  /** What all clients together had in the busiest window. */
  readonly together: number;
  /** Twice what 99 % of the clients had, or 95 % of few clients, rounded up. */
  readonly recommended: number;
  /** From the lowest limit on. */
  readonly limits: readonly LimitReport[];
  /** For a chart: so many clients had more than `used` in their busiest window. */
  readonly curve: readonly { readonly used: number; readonly clients: number }[];
}

export interface LimitReport {
  readonly limit: number;
  /** The percentiles that have this value, and `recommended`. */
  readonly at: readonly (Percentile | "recommended")[];
  readonly absolute: DenialReport;
  readonly suppressed: DenialReport;
  /** Who would have been denied most under the absolute strategy. */
  readonly hitMost: readonly { readonly client: string; readonly denied: number; readonly busiest: number }[];
}

export interface DenialReport {
  readonly deniedRequests: number;
  /** As a share of all requests. */
  readonly deniedShare: number;
  readonly deniedCost: number;
  readonly deniedClients: number;
}

export interface Recommendation {
  readonly limits: readonly RecommendedLimit[];
  /** Sentences. */
  readonly remarks: readonly string[];
}

export interface RecommendedLimit extends SizedWindow {
  readonly name: "burst" | "quota";
  readonly limit: number;
  /** Sentences. */
  readonly reasons: readonly string[];
}
