// What is stored in Redis, found by SCAN and read by the library's own limiters.

import { messageOf, TrypemaError } from "../../core/errors.ts";
import { type Family, familyOf, type SharedDenials } from "../../core/family.ts";
import { resolveWindow } from "../../core/options.ts";
import { KeyNames, readStateName, type StoredLimit, statePattern } from "../../redis/keys.ts";
import type { RedisLimiter } from "../../redis/limiter.ts";
import { createRedisProvider } from "../../redis/provider.ts";
import { numberFrom, pageFrom } from "../../redis/reply.ts";
import { choice, Failure, type OptionTypes, UsageError } from "../command.ts";
import { duration, printable } from "../text.ts";
import { durationFrom } from "../units.ts";
import { connect, type OpenClient, placeOf, type Target } from "./connect.ts";
import { ANSWER_MS } from "./deadline.ts";

export interface StoredKey {
  readonly limit: StoredLimit;
  readonly key: string;
}

/** Which limits of a key are meant; all where nothing is said. */
export type Choice = Partial<StoredLimit>;

export const CHOICE_OPTIONS = {
  window: { type: "string" },
  bucket: { type: "string" },
  strategy: { type: "string" },
  limit: { type: "string" },
} as const satisfies OptionTypes;

export const CHOICE_HELP = `  --window TIME      only the limits of that window, such as 60s or 1h
  --bucket TIME      only those with buckets of that length
  --strategy NAME    only absolute, or only suppressed
  --limit NAME       only the limit of that name in createLimits or rateLimit;
                     rateLimit without a name has the name default`;

/** @throws {UsageError} */
export function choiceFrom(values: Readonly<Record<string, string | boolean | undefined>>): Choice {
  const { window, bucket, strategy, limit } = values as Record<string, string | undefined>;
  const times = {
    ...(window !== undefined && { windowMs: durationFrom("--window", window) }),
    ...(bucket !== undefined && { bucketMs: durationFrom("--bucket", bucket) }),
  };
  checkTimes(times);
  return {
    ...times,
    ...(strategy !== undefined && { strategy: choice("strategy", strategy, ["absolute", "suppressed"] as const) }),
    ...(limit !== undefined && { name: limit }),
  };
}

/** @throws {UsageError} where no limit can have this window with these buckets */
function checkTimes({ windowMs, bucketMs }: Choice): void {
  if (windowMs === undefined) return;
  try {
    resolveWindow({ windowMs, ...(bucketMs !== undefined && { bucketMs }) });
  } catch (error) {
    throw new UsageError(`no limit has such a --window and --bucket: ${printable(messageOf(error))}`);
  }
}

/** A script, because a client sends it to the right node of a Cluster. It reads, as the scripts of limits do. */
const EXISTS = "return redis.call('GET', KEYS[1]) and 1 or 0";

/** Always holds: it is connected until it is closed. */
export class Store {
  readonly opened: OpenClient;
  readonly #target: Target;
  readonly #family: Family;

  private constructor(target: Target, opened: OpenClient) {
    this.#target = target;
    this.opened = opened;
    const { prefix } = target;
    this.#family = familyOf(createRedisProvider(opened.client, { prefix, timeoutMs: ANSWER_MS }))!;
  }

  /** Opens a store for `work`, and closes it after. @throws {Failure} */
  static async with<Result>(target: Target, work: (store: Store) => Promise<Result>): Promise<Result> {
    const store = new Store(target, await connect(target));
    try {
      return await work(store);
    } catch (error) {
      throw error instanceof TrypemaError
        ? new Failure(`${placeOf(target)}: ${printable(failureOf(error), 300)}`)
        : error;
    } finally {
      store.opened.close();
    }
  }

  /** Redis doesn't know the hard limit's factor of a limit, because each program brings its own. */
  limiter(limit: StoredLimit, hardLimitFactor = this.#family.hardLimitFactor): RedisLimiter {
    return this.#family.limiter({ ...limit, hardLimitFactor }) as RedisLimiter;
  }

  /** What the processes tell of the keys that they deny. */
  get sharedDenials(): SharedDenials {
    return this.#family.sharedDenials!;
  }

  /** Walks all masters by SCAN, page by page, and tells the states that are on each. */
  async *pages(key?: string): AsyncGenerator<readonly StoredKey[]> {
    const { prefix } = this.#target;
    for (const scan of await this.opened.connection.scans()) {
      let cursor = "0";
      do {
        const page = pageFrom(await scan(cursor, statePattern(prefix, key)), cursor);
        yield page.keys.flatMap((redisKey) => readStateName(prefix, redisKey) ?? []);
        cursor = page.cursor;
      } while (cursor !== "0");
    }
  }

  /** The limits that have a state of the key, shortest window first. One that is named in full needs no walk. */
  async limitsOf(key: string, chosen: Choice): Promise<StoredLimit[]> {
    if (isWhole(chosen)) return (await this.#hasState(key, chosen)) ? [chosen] : [];
    const byName = new Map<string, StoredLimit>();
    for await (const page of this.pages(key)) {
      // SCAN may tell a name twice.
      for (const { key: found, limit } of page)
        if (found === key && fits(limit, chosen)) byName.set(nameOf(limit), limit);
    }
    return [...byName.values()].sort(
      (one, other) => one.windowMs - other.windowMs || (nameOf(one) < nameOf(other) ? -1 : 1),
    );
  }

  async #hasState(key: string, limit: StoredLimit): Promise<boolean> {
    const [redisKey] = new KeyNames(this.#target.prefix, limit).of(key);
    return numberFrom(await this.opened.connection.eval(EXISTS, [redisKey], [])) === 1;
  }
}

/** Whether a choice names one limit, and leaves nothing open. */
function isWhole(chosen: Choice): chosen is StoredLimit {
  const { name, strategy, windowMs, bucketMs } = chosen;
  return name !== undefined && strategy !== undefined && windowMs !== undefined && bucketMs !== undefined;
}

/** Whether a limit is one of those that are meant. */
export function fits(limit: StoredLimit, chosen: Choice): boolean {
  return Object.entries(chosen).every(([field, value]) => limit[field as keyof StoredLimit] === value);
}

/** How a limit is called for people. */
export function nameOf({ name, strategy, windowMs, bucketMs }: StoredLimit): string {
  const bucket = bucketMs === Math.min(100, windowMs) ? "" : `, buckets of ${duration(bucketMs)}`;
  return `${name === "" ? "" : `${printable(name)}, `}${strategy}, ${duration(windowMs)}${bucket}`;
}

function failureOf(error: TrypemaError): string {
  const { cause } = error;
  return cause instanceof Error && cause.message !== "" ? `${error.message}: ${cause.message}` : error.message;
}
