// How long a command waits for Redis. A person waits too, and a server that hangs never answers.

import { Failure } from "../command.ts";

/** A person waits, so a call may take longer than in a program. */
export const ANSWER_MS = 5_000;

/**
 * What `work` comes to. The timer also keeps the process alive: a client whose promise stays open for ever would
 * otherwise end the program without a word.
 *
 * @throws {Failure} with `silence` as its message where nothing comes in time
 */
export async function inTime<Result>(work: Promise<Result>, silence: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Failure(`${silence} within ${ANSWER_MS / 1_000} s`)), ANSWER_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
