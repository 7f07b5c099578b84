// app/actions.ts
"use server";

import { cookies } from "next/headers";
import { createLimits, createLocalProvider, minutes } from "trypema";

const limits = createLimits(createLocalProvider(), { feedback: { limit: 2, windowMs: minutes(1) } });

export async function sendFeedback(_previous: string, form: FormData): Promise<string> {
  const user = (await cookies()).get("user")?.value; // use your own session here
  if (user === undefined) return "Please log in.";
  const taken = await limits.take(user);
  if (!taken.allowed) return `Too much at once. Try again in ${Math.ceil(taken.retryAfterMs / 1_000)} s.`;
  return `Thank you for: ${form.get("text")}`;
}
