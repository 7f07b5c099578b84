// limits.ts
import { type ExecutionArgs, GraphQLError } from "graphql";
import { fieldExtensionsEstimator, getComplexity, simpleEstimator } from "graphql-query-complexity";
import type { Plugin } from "graphql-yoga";
import { createLimits, createLocalProvider, minutes } from "trypema";

const limits = createLimits(createLocalProvider(), { points: { limit: 100, windowMs: minutes(1) } });
const estimators = [fieldExtensionsEstimator(), simpleEstimator({ defaultComplexity: 1 })];

function costOf({ schema, document: query, variableValues: variables, operationName }: ExecutionArgs): number {
  return getComplexity({
    schema,
    query,
    estimators,
    variables: { ...variables },
    operationName: operationName ?? undefined,
  });
}

/** Each field costs 1 point, or what its extension `complexity` says. */
export const limitPoints: Plugin = {
  async onExecute({ args, setResultAndStopExecution }) {
    const user = args.contextValue.request.headers.get("authorization") ?? "nobody"; // whom you have authenticated
    const taken = await limits.take(user, costOf(args));
    if (taken.allowed) return;
    const http = { status: 429, headers: { "retry-after": String(Math.ceil(taken.retryAfterMs / 1_000)) } };
    const extensions = { code: "RATE_LIMITED", retryAfterMs: taken.retryAfterMs, http };
    setResultAndStopExecution({ errors: [new GraphQLError("Too many points.", { extensions })] });
  },
};
