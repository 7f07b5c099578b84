// How a request is turned away: what the answer says, and in which form.

import type { Decision } from "../core/types.ts";
import type { Charge } from "./charge.ts";
import type { Outcome } from "./metrics.ts";

/** Why a request is denied. */
export type DenialReason = "quota-exceeded" | "blocked" | "backend-unavailable" | "missing-key";

/** A denied request, for a responder of your own. */
export interface Denial {
  /** Why the request is denied. */
  readonly reason: DenialReason;
  /** The name of the limiter. If several deny the request, it is the limiter with the longest wait. */
  readonly limiter: string;
  /** The names of all limiters that deny the request. */
  readonly violated: readonly string[];
  /** The status that the answer has by default. */
  readonly status: number;
  /** How many seconds to wait, rounded up; undefined when this isn't known, or when no wait would help. */
  readonly retryAfterSeconds: number | undefined;
  /** The limiter's decision; undefined when it could not decide. */
  readonly decision: Decision | undefined;
}

/** An answer in place of the default answer. A field that is left out keeps its default. */
export interface DenialAnswer {
  /** The HTTP status. */
  readonly status?: number;
  /** Added to `Retry-After` and the rate limit fields. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The text to send. */
  readonly body?: string;
}

const reasons: Partial<Record<Outcome, DenialReason>> = {
  blocked: "blocked",
  unavailable: "backend-unavailable",
  "missing-key": "missing-key",
};

const statuses: Partial<Record<DenialReason, number>> = { "backend-unavailable": 503, "missing-key": 400 };

/**
 * The denial of a request.
 *
 * @param denying the charges that deny it, at least one
 * @param statusOverLimit the status for a client that is over its limit
 */
export function denialOf(denying: readonly Charge[], statusOverLimit: number): Denial {
  const waitMsOf = ({ decision }: Charge) => decision?.retryAfterMs ?? 0;
  const { outcome, limiter, retryAfterSeconds, decision } = denying.reduce((longest, charge) =>
    waitMsOf(charge) > waitMsOf(longest) ? charge : longest,
  );
  const reason = reasons[outcome] ?? "quota-exceeded";
  const violated = denying.map((charge) => charge.limiter.name);
  const status = statuses[reason] ?? statusOverLimit;
  return { reason, limiter: limiter.name, violated, status, retryAfterSeconds, decision };
}

interface Problem {
  readonly type: string;
  readonly title: string;
}

/** The types of section 6 of draft-ietf-httpapi-ratelimit-headers-10, where one fits. */
const problems: Record<DenialReason, Problem> = {
  "quota-exceeded": {
    type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
    title: "Too many requests",
  },
  blocked: {
    type: "https://iana.org/assignments/http-problem-types#abnormal-usage-detected",
    title: "Blocked after too many requests",
  },
  "backend-unavailable": {
    type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
    title: "Requests can't be counted at the moment",
  },
  "missing-key": { type: "about:blank", title: "Bad Request" },
};

/** The default answer: a problem in JSON (RFC 9457) if the client takes JSON at least as gladly as text, else text. */
export function defaultAnswer(denial: Denial, accept: string | undefined): Required<DenialAnswer> {
  const { reason, status, violated } = denial;
  const { type, title } = problems[reason];
  const detail = detailOf(denial);
  if (!prefersJson(accept)) {
    return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: `${detail}\n` };
  }
  const policies = reason === "missing-key" ? {} : { "violated-policies": violated };
  const body = JSON.stringify({ type, title, status, detail, ...policies });
  return { status, headers: { "content-type": "application/problem+json" }, body };
}

function detailOf({ reason, retryAfterSeconds, decision }: Denial): string {
  if (reason === "missing-key") return "This request doesn't say who it is from.";
  if (reason === "backend-unavailable") return "Requests can't be counted at the moment. Try again later.";
  if (retryAfterSeconds !== undefined && reason === "blocked") return `Blocked. Try again in ${retryAfterSeconds} s.`;
  if (retryAfterSeconds !== undefined) return `Too many requests. Try again in ${retryAfterSeconds} s.`;
  if (decision?.limit === 0) return "No requests are allowed.";
  if (decision?.retryAfterMs === Number.POSITIVE_INFINITY) return "This request costs more than the limit ever allows.";
  return "Too many requests. Try again later.";
}

/** How much of an Accept header is read. The number bounds the work that a denial can cause. */
const LONGEST_ACCEPT = 1_000;

/** Compares the quality values (RFC 9110, section 12.5.1). A client without the header takes anything. */
export function prefersJson(accept: string | undefined): boolean {
  if (accept === undefined) return true;
  const qualities = qualitiesOf(accept.slice(0, LONGEST_ACCEPT));
  const json = Math.max(
    qualityOf(qualities, "application", "problem+json"),
    qualityOf(qualities, "application", "json"),
  );
  return json > 0 && json >= qualityOf(qualities, "text", "plain");
}

/** The quality of each range in the header that may contain JSON or text. */
function qualitiesOf(accept: string): ReadonlyMap<string, number> {
  const qualities = new Map<string, number>();
  for (const element of accept.toLowerCase().split(",")) {
    const end = element.indexOf(";");
    const range = (end === -1 ? element : element.slice(0, end)).trim();
    if (range !== "*/*" && !range.startsWith("application/") && !range.startsWith("text/")) continue;
    const parameters = end === -1 ? [] : element.slice(end + 1).split(";");
    const quality = parameters.map((part) => part.trim()).find((part) => part.startsWith("q="));
    qualities.set(range, quality === undefined ? 1 : Number(quality.slice(2)) || 0);
  }
  return qualities;
}

/** The quality of the most specific range that contains the type; 0 when there is none. */
function qualityOf(qualities: ReadonlyMap<string, number>, type: string, subtype: string): number {
  return qualities.get(`${type}/${subtype}`) ?? qualities.get(`${type}/*`) ?? qualities.get("*/*") ?? 0;
}
