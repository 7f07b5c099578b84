// npm run bench:http: what limiting costs an HTTP server, on each framework and beside its own limiter. With
// `-- --write` the figures go into docs/benchmarks.md too.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { load } from "./http-load.ts";
import { frameworks, type Side } from "./http-servers.ts";
import { Report } from "./report.ts";

const TURNS = 25;
const TURN_MS = 250;
/** So that what is hot is compiled before anything counts. */
const WARM_UP_TURNS = 3;
const CONNECTIONS = 50;
/** `npm run bench:http -- Fastify Koa`: only these. */
const chosen = process.argv.slice(2).filter((name) => Object.hasOwn(frameworks, name));

interface Player {
  readonly side: Side;
  readonly child: ChildProcess;
  readonly port: number;
  /** Of each turn. */
  readonly requestsPerSecond: number[];
  readonly cpuUs: number[];
}

async function startPlayer(framework: string, side: Side): Promise<Player> {
  const child = fork(new URL("./http-servers.js", import.meta.url), [framework, side], {
    env: { ...process.env, NODE_ENV: "production" },
  });
  const [port] = (await once(child, "message")) as [number];
  const response = await fetch(`http://127.0.0.1:${port}/`);
  const limited = [...response.headers.keys()].some((name) => name.includes("ratelimit"));
  if (!response.ok || limited !== (side !== "bare")) throw new Error(`${framework}, ${side} doesn't do what it is to`);
  return { side, child, port, requestsPerSecond: [], cpuUs: [] };
}

async function cpuUs({ child }: Player): Promise<number> {
  const answered = once(child, "message");
  child.send("cpu");
  const [used] = (await answered) as [number];
  return used;
}

async function takeTurn(player: Player, counts: boolean): Promise<void> {
  const before = await cpuUs(player);
  const { count, perSecond } = await load(player.port, CONNECTIONS, TURN_MS);
  if (!counts) return;
  player.requestsPerSecond.push(perSecond);
  player.cpuUs.push(((await cpuUs(player)) - before) / count);
}

const report = new Report();
report.print(`The best of ${TURNS} turns; ${CONNECTIONS} connections with one request in flight each.\n`);
const rows: string[][] = [];
for (const [framework, { peer }] of Object.entries(frameworks)) {
  if (chosen.length > 0 && !chosen.includes(framework)) continue;
  const sides: Side[] = ["bare", "fields", "trypema", ...(peer === undefined ? [] : (["peer"] as const))];
  const players: Player[] = [];
  for (const side of sides) players.push(await startPlayer(framework, side));
  try {
    for (let turn = -WARM_UP_TURNS; turn < TURNS; turn++) {
      // The order changes, so that nobody is always the one after a pause.
      const from = Math.max(turn, 0) % players.length;
      for (const player of [...players.slice(from), ...players.slice(0, from)]) await takeTurn(player, turn >= 0);
    }
  } finally {
    for (const { child } of players) child.kill();
  }
  // The best turn is the one that nobody else disturbed; whoever shares the processors only ever takes away.
  const best = ({ requestsPerSecond, cpuUs }: Player) => [Math.max(...requestsPerSecond), Math.min(...cpuUs)] as const;
  const [bareRequests, bareUs] = best(players[0]!);
  for (const player of players) {
    const name = { bare: "", fields: "only the header fields", trypema: "trypema", peer: peer ?? "" }[player.side];
    const [requests, us] = best(player);
    const isBare = player.side === "bare";
    rows.push([
      `${framework}${name && `, ${name}`}`,
      requests.toFixed(0),
      isBare ? "" : `${((1 - requests / bareRequests) * 100).toFixed(1)} %`,
      us.toFixed(1),
      isBare ? "" : (us - bareUs).toFixed(1),
    ]);
  }
  console.error(
    rows
      .slice(-players.length)
      .map((row) => row.join(" | "))
      .join("\n"),
  );
}
report.printTable(["", "requests a second", "lost", "µs of processor a request", "added"], rows);
report.end("npm run bench:http");
