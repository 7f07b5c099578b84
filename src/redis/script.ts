import { messageOf } from "../core/errors.ts";
import type { Connection } from "./client.ts";

export interface Script {
  readonly sha1: string;
  readonly source: string;
}

/**
 * Runs a script by its SHA-1, and by its source where the server doesn't have it: after a restart, a
 * failover or SCRIPT FLUSH, or on another node of a Cluster. NOSCRIPT says that nothing was executed, so
 * that is safe; after any other error a call is never sent again.
 */
export async function runScript(
  connection: Connection,
  script: Script,
  keys: string[],
  args: string[],
): Promise<unknown> {
  let reply: unknown;
  try {
    reply = await connection.evalSha(script.sha1, keys, args);
  } catch (error) {
    if (!/^NOSCRIPT\b/.test(messageOf(error))) throw error;
    reply = await connection.eval(script.source, keys, args);
  }
  if (reply === "QUEUED") throw new Error("the client is in a MULTI: give the provider a client of its own");
  return reply;
}
