// What the library needs of a Redis client. Each file beside this one makes it of the clients of one kind.

import { messageOf } from "../../core/errors.ts";

/** A client of any kind behind one interface. What fails rejects with the text of Redis at the start of the message. */
export interface Connection {
  /** Whether the client knows of a Cluster, in which keys of different slots can't be in one script. */
  readonly isCluster: boolean;
  evalSha(sha1: string, keys: string[], args: string[]): Promise<unknown>;
  eval(source: string, keys: string[], args: string[]): Promise<unknown>;
  /** Finds all masters, of which each has its own keys, and gives a SCAN for each. */
  scans(): Promise<readonly Scan[]>;
}

/** Sends one SCAN to one master. Its reply has the next cursor and the keys, with the client's own key prefix. */
export type Scan = (cursor: string, pattern: string) => Promise<unknown>;

/** How many Redis keys one SCAN looks at. */
export const SCAN_COUNT = 1_000;

/** An error of Redis that a client words in its own way. The message is what Redis said. */
export class RewordedError extends Error {
  readonly #clientsError: unknown;

  constructor(redisText: string, clientsError: unknown) {
    super(redisText);
    this.#clientsError = clientsError;
  }

  /** The error as the client had it. Never throws, whatever was thrown. */
  static clientsErrorOf(error: unknown): unknown {
    return typeof error === "object" && error !== null && #clientsError in error ? error.#clientsError : error;
  }
}

/** `reply`, which rejects with the text of Redis where the client words errors in its own way. */
export async function withRedisText<Reply>(
  reply: Promise<Reply>,
  redisTextOf: (message: string) => string,
): Promise<Reply> {
  try {
    return await reply;
  } catch (error) {
    throw new RewordedError(redisTextOf(messageOf(error)), error);
  }
}

/** Whether `value` is an object with all these methods. */
export function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  return names.every((name) => typeof Reflect.get(value, name) === "function");
}
