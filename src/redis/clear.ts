// Forgets all limited keys of one kind, by a walk through the whole database.

import type { Connection } from "./client.ts";
import { escapeGlob } from "./keys.ts";
import { isWithin, misfit, numberFrom, pageFrom, textFrom } from "./reply.ts";

/** Runs one step of a longer work, `send`. It is async, so an error of the client always rejects and never throws. */
export type StepRunner = <Reply>(send: () => Promise<Reply>) => Promise<Reply>;

/**
 * The UNLINK is a script, because the client sends a script to the right node of a Cluster and puts its own prefix
 * before the script's key, as it does for all others.
 */
export const UNLINK = "return redis.call('UNLINK', KEYS[1])";

/** Replies with a key's name in Redis: a client may have a prefix of its own, such as ioredis' `keyPrefix`. */
const NAME_IN_REDIS = "return KEYS[1]";

/** How many keys are removed in one step, which has one deadline. */
const KEYS_IN_STEP = 100;

/**
 * Removes the Redis keys whose names begin so, on every master.
 *
 * @param start the start of the names, without the client's own prefix
 * @param runStep may refuse a step
 */
export async function unlinkAll(connection: Connection, start: string, runStep: StepRunner): Promise<void> {
  const prefix = await prefixOf(connection, start, runStep);
  const pattern = `${escapeGlob(prefix + start)}*`;
  for (const scan of await runStep(async () => connection.scans())) {
    let cursor = "0";
    do {
      const page = pageFrom(await runStep(async () => scan(cursor, pattern)), cursor);
      await unlink(
        connection,
        page.keys.map((key) => key.slice(prefix.length)),
        runStep,
      );
      cursor = page.cursor;
    } while (cursor !== "0");
  }
}

/** What the client puts before the name of each key. SCAN is the only command whose keys come with it. */
async function prefixOf(connection: Connection, start: string, runStep: StepRunner): Promise<string> {
  const reply = await runStep(async () => connection.eval(NAME_IN_REDIS, [start], []));
  const name = textFrom(reply);
  if (!name.endsWith(start)) throw misfit(reply);
  return name.slice(0, -start.length);
}

/** Sends one script for each key, because the keys of a page are in many slots of a Cluster. */
async function unlink(connection: Connection, keys: readonly string[], runStep: StepRunner): Promise<void> {
  for (let first = 0; first < keys.length; first += KEYS_IN_STEP) {
    const some = keys.slice(first, first + KEYS_IN_STEP);
    const replies = await runStep(() => Promise.all(some.map(async (key) => connection.eval(UNLINK, [key], []))));
    for (const reply of replies) if (!isWithin(numberFrom(reply), 1)) throw misfit(reply);
  }
}
