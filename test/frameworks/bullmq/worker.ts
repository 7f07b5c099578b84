// worker.ts
import { DelayedError, type Job, Worker } from "bullmq";
import { Redis } from "ioredis";
import { createLimits, seconds } from "trypema";
import { createRedisProvider } from "trypema/redis";

const connection = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379", { maxRetriesPerRequest: null });
const limits = createLimits(createRedisProvider(connection, { onFailure: "throw" }), {
  mails: { limit: 2, windowMs: seconds(1) },
});

async function send(job: Job): Promise<string> {
  return `a mail for ${job.data.customer}`;
}

export const worker = new Worker(
  "mails",
  async (job, token) => {
    const taken = await limits.take(job.data.customer);
    if (taken.allowed) return send(job);
    await job.moveToDelayed(Date.now() + taken.retryAfterMs, token);
    throw new DelayedError();
  },
  { connection, concurrency: 10 },
);
