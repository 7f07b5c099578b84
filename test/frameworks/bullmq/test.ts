import assert from "node:assert/strict";
import { Queue, QueueEvents } from "bullmq";
import { Redis } from "ioredis";
import { check } from "../check.ts";
import { worker } from "./worker.ts";

const connection = new Redis(process.env.REDIS_URL!, { maxRetriesPerRequest: null });
const queue = new Queue("mails", { connection });
const events = new QueueEvents("mails", { connection: connection.duplicate() });
await Promise.all([worker.waitUntilReady(), events.waitUntilReady()]);

/** The jobs that were delayed and came again, by their ids. */
const delayed = new Set<string>();
events.on("delayed", ({ jobId }) => delayed.add(jobId));
const failures: string[] = [];
events.on("failed", ({ failedReason }) => failures.push(failedReason));

await check("a job over the limit of its customer is delayed, and is done when there is room", async () => {
  const jobs = await queue.addBulk(Array.from({ length: 6 }, () => ({ name: "mail", data: { customer: "ann" } })));
  const answers = await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
  assert.deepEqual(answers, Array(6).fill("a mail for ann"));
  assert.ok(delayed.size >= 1 && delayed.size <= 4, `${delayed.size} of 6 were delayed`);
});

await check("a delay is no failed attempt", async () => {
  assert.deepEqual(failures, []);
  const jobs = await queue.getCompleted();
  assert.deepEqual(new Set(jobs.map(({ attemptsMade }) => attemptsMade)), new Set([1]));
});

await check("another customer needn't wait", async () => {
  delayed.clear();
  const customers = ["bob", "eve", "joe", "sue"];
  const jobs = await queue.addBulk(customers.map((customer) => ({ name: "mail", data: { customer } })));
  await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
  assert.equal(delayed.size, 0);
});

await worker.close();
await events.close();
await queue.close();
process.exit();
