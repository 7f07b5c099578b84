// The servers that the demo asks: one in this process, or several that hold one limit together.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type LimiterOptions, perSecond } from "trypema";
import { findRedis, openBackend } from "./backend.ts";
import type { Counter } from "./options.ts";
import { type Decide, type Strategy, startServer } from "./server.ts";

export interface Servers {
  /** For people: what counts, and where. */
  readonly name: string;
  readonly urls: readonly string[];
  /** Forgets what was counted. */
  clear(strategy: Strategy): Promise<void>;
  close(): Promise<void>;
}

/** What a server is told to hold. */
export interface Limit {
  readonly perSecond: number;
  readonly options: LimiterOptions;
}

const PROCESSES = 4;
const MEMBER = new URL("member.js", import.meta.url);

/** @throws {UserError} when there is no Redis */
export function startServers(counter: Counter, limit: Limit, redisUrl: string | undefined): Promise<Servers> {
  return counter === "hybrid" ? startFleet(limit, redisUrl) : startAlone(counter, limit, redisUrl);
}

/**
 * A server in this process. Rejects when it cannot listen.
 *
 * @throws {UserError} when there is no Redis
 */
export async function startAlone(
  counter: Counter,
  limit: Limit,
  redisUrl: string | undefined,
  port = 0,
): Promise<Servers> {
  const backend = await openBackend(counter, limit.options, redisUrl);
  const rate = perSecond(limit.perSecond);
  const decide: Decide = (strategy, client) => backend.provider[strategy].inc(client, rate);
  const server = await startServer(decide, port).catch(async (error) => {
    await backend.close();
    throw error;
  });
  return {
    name: backend.name,
    urls: [server.url],
    clear: async (strategy) => backend.provider[strategy].clear(),
    async close() {
      await server.close();
      await backend.close();
    },
  };
}

async function startFleet(limit: Limit, redisUrl: string | undefined): Promise<Servers> {
  const redis = await findRedis(redisUrl);
  const env = { ...process.env, REDIS_URL: redis.url };
  const members = Array.from({ length: PROCESSES }, () => fork(MEMBER, [JSON.stringify(limit)], { env }));
  const close = async () => {
    await Promise.all(members.map(end));
    await redis.close();
  };
  try {
    const urls = await Promise.all(members.map((member) => messageOf<string>(member)));
    return {
      name: `Hybrid provider on ${redis.name}`,
      urls,
      async clear(strategy) {
        // One after the other: what one still reports another one clears.
        for (const member of members) {
          member.send(strategy);
          await messageOf(member);
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function messageOf<Message>(member: ChildProcess): Promise<Message> {
  const ended = once(member, "exit").then(([code]) => Promise.reject(new Error(`a server ended with ${code}`)));
  const [message] = await Promise.race([once(member, "message"), ended]);
  return message;
}

/** A server ends when it can't hear of this process any longer, however that has ended. */
async function end(member: ChildProcess): Promise<void> {
  if (member.exitCode !== null || member.signalCode !== null) return;
  const ended = once(member, "exit");
  if (member.connected) member.disconnect();
  await ended;
}
