// `ioredis`, and `iovalkey`, which has the same methods.

import { type Connection, hasMethods, SCAN_COUNT } from "./connection.ts";

/** `Redis` or `Cluster` of the package `ioredis` or `iovalkey`: a single server, Sentinel or Cluster. */
export interface IoredisClient {
  /** Runs a script that the server knows, by its SHA-1. */
  evalsha(sha1: string, keyCount: number, ...keysAndArguments: string[]): Promise<unknown>;
  /** Runs a script, which the server then knows. */
  eval(source: string, keyCount: number, ...keysAndArguments: string[]): Promise<unknown>;
  /** Runs any command. The clients over HTTP, whose scripts take other arguments, don't have it. */
  call(command: string, ...args: string[]): Promise<unknown>;
  /** Connects. A pipeline and a MULTI don't have it. */
  connect(): Promise<unknown>;
}

type Command = "evalsha" | "eval";

interface Pipeline {
  evalsha(sha1: string, keyCount: number, ...keysAndArguments: string[]): Pipeline;
  eval(source: string, keyCount: number, ...keysAndArguments: string[]): Pipeline;
  exec(): Promise<[error: Error | null, reply: unknown][]>;
}

/** What a Cluster has besides. */
interface IoredisCluster extends IoredisClient {
  readonly options?: { readonly enableAutoPipelining?: boolean };
  nodes(role: "master"): IoredisClient[];
  pipeline(): Pipeline;
}

export function isIoredis(client: unknown): client is IoredisClient {
  return hasMethods(client, "evalsha", "eval", "call", "connect");
}

export function ioredisConnection(client: IoredisClient): Connection {
  const cluster = hasMethods(client, "nodes", "pipeline") ? (client as IoredisCluster) : undefined;
  const run = (command: Command, script: string, keys: string[], args: string[]) => {
    if (cluster?.options?.enableAutoPipelining) return runInPipeline(cluster, command, script, keys, args);
    return client[command](script, keys.length, ...keys, ...args);
  };
  return {
    isCluster: cluster !== undefined,
    evalSha: (sha1, keys, args) => run("evalsha", sha1, keys, args),
    eval: (source, keys, args) => run("eval", source, keys, args),
    async scans() {
      return (cluster?.nodes("master") ?? [client]).map(
        (node) => (cursor, pattern) => node.call("SCAN", cursor, "MATCH", pattern, "COUNT", String(SCAN_COUNT)),
      );
    },
  };
}

/**
 * Runs a script in a pipeline of its own. The Cluster of iovalkey, and that of ioredis before 5.11, puts a script into
 * the automatic pipeline for the node that its SHA-1 would be on if that were a key. There it and all commands that it
 * meets fail. A pipeline that was asked for goes to the node of the script's keys.
 */
async function runInPipeline(
  cluster: IoredisCluster,
  command: Command,
  script: string,
  keys: string[],
  args: string[],
): Promise<unknown> {
  const [outcome] = await cluster
    .pipeline()
    [command](script, keys.length, ...keys, ...args)
    .exec();
  const [error, reply] = outcome!;
  if (error !== null) throw error;
  return reply;
}
