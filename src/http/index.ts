export type { Providers } from "../metrics/provider-metrics.ts";
export type { Answer, Responder } from "./answer.ts";
export { type ClientAddressOptions, clientAddress } from "./client-address.ts";
export type {
  BackendFailurePolicy,
  DecisionEvent,
  ForRequest,
  LimiterDefinition,
  LimiterFields,
  LimiterOfCount,
  LimiterOfRate,
} from "./definition.ts";
export type { Denial, DenialAnswer, DenialReason } from "./denial.ts";
export { Guard, type Verdict } from "./guard.ts";
export type { Fields, HeaderForm } from "./headers.ts";
export {
  combined,
  derivedKey,
  type Key,
  type MissingKeyPolicy,
  type RequestHeaderOptions,
  requestHeader,
} from "./keys.ts";
export type { FailureKind, Metrics, Observation, Outcome } from "./metrics.ts";
export type { Notice, NoticeCode, OnNotice } from "./notices.ts";
export type { GuardOptions, NoLimiter, RateLimitOptions, SeveralLimiters } from "./options.ts";
export { type PrometheusMetrics, type PrometheusOptions, prometheusMetrics } from "./prometheus.ts";
export { type HttpRequest, type HttpResponse, pathOf } from "./request.ts";
export { type Reservation, reservationOf } from "./reservation.ts";
