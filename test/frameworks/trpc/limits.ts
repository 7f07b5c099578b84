// limits.ts
import { initTRPC, TRPCError } from "@trpc/server";
import { createLimits, createLocalProvider, minutes, seconds } from "trypema";

const limits = createLimits(createLocalProvider(), {
  burst: { limit: 30, windowMs: seconds(1) },
  calls: { limit: 60, windowMs: minutes(1) },
});

const t = initTRPC.context<{ user: string }>().create({
  errorFormatter: ({ shape, error: { cause } }) => ({
    ...shape,
    data: { ...shape.data, retryAfterMs: (cause as { retryAfterMs?: number } | undefined)?.retryAfterMs },
  }),
});

export const { router } = t;
export const limitedProcedure = t.procedure.use(async ({ ctx, type, next }) => {
  const taken = await limits.take(ctx.user, { calls: type === "mutation" ? 10 : 1 });
  if (taken.allowed) return next();
  throw new TRPCError({ code: "TOO_MANY_REQUESTS", cause: { retryAfterMs: taken.retryAfterMs } });
});
