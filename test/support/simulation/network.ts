// The network between a process and Redis: it delays, loses requests and answers, and breaks off connections, whose
// client may send again what was not answered. It may also bring a request twice.

import type { CommandClient } from "trypema/hybrid";
import type { Actor } from "./timeline.ts";
import { type Arguments, keyIn, type Method, type World } from "./world.ts";

/** When a client takes a connection that is silent for broken. */
const GIVES_UP_MS = 1_000;

/** The client that a provider gets. Requests arrive in the order in which they were sent, and so do answers. */
export class Connection implements CommandClient {
  /** How many scripts were sent to Redis. */
  requests = 0;
  /** How many reports about one key were on their way at once, at most. */
  mostReports = 0;
  /** How many reports about a key are on their way, by the Redis key of its leases. */
  readonly #reports = new Map<string, number>();
  /** When Redis ran the last script that was answered, by the key. */
  readonly executedMs = new Map<string, number>();
  readonly #world: World;
  readonly #owner: Actor;
  #sendLastAgain: () => Promise<unknown> = async () => {};
  #lastRequestMs = 0;
  #lastAnswerMs = 0;

  constructor(world: World, owner: Actor) {
    this.#world = world;
    this.#owner = owner;
  }

  sendCommand([command, ...args]: string[]): Promise<unknown> {
    const sent = this.#send(command!.toLowerCase() as Method, args);
    const names = args.slice(2, 2 + Number(args[1])).filter((name) => name.endsWith("}l"));
    this.#addReports(names, 1);
    const end = () => this.#addReports(names, -1);
    sent.then(end, end);
    return sent;
  }

  #addReports(names: readonly string[], change: number): void {
    for (const name of names) {
      const reports = (this.#reports.get(name) ?? 0) + change;
      this.#reports.set(name, reports);
      this.mostReports = Math.max(this.mostReports, reports);
    }
  }

  /** Brings the last request to Redis once more, as a network may. */
  sendLastAgain(): Promise<unknown> {
    return this.#sendLastAgain();
  }

  #send(method: Method, args: Arguments): Promise<unknown> {
    this.requests++;
    this.#sendLastAgain = () => this.#world.execute(method, args);
    const world = this.#world;
    this.#lastRequestMs = Math.max(this.#lastRequestMs, world.nowMs + this.#delay());
    return new Promise((resolve, reject) => {
      const arrive = async () => {
        if (world.random() < world.network.lostRequests) return breakOff();
        const executedMs = world.nowMs;
        const outcome = await world.execute(method, args);
        if (world.random() < world.network.lostAnswers) return breakOff();
        this.#lastAnswerMs = Math.max(this.#lastAnswerMs, world.nowMs + this.#delay());
        const answer = () => {
          if (outcome.status === "rejected") return reject(outcome.reason);
          for (const name of args.slice(2, 2 + Number(args[1]))) this.executedMs.set(keyIn(name), executedMs);
          resolve(outcome.value);
        };
        world.at(this.#lastAnswerMs, answer, this.#owner);
        this.#maybeRepeat(method, args);
      };
      // The client hears of it soon, or only when it gives the connection up; then it may send it again.
      const breakOff = () => {
        const heardMs = world.nowMs + (world.random() < 0.5 ? world.network.delayMs : GIVES_UP_MS);
        const again = world.random() < world.network.sentAgain;
        world.at(heardMs, again ? arrive : () => reject(new Error("Connection is closed.")), this.#owner);
      };
      world.at(this.#lastRequestMs, arrive);
    });
  }

  /** Brings a request once more, about when its answer has come back. */
  #maybeRepeat(method: Method, args: Arguments): void {
    const world = this.#world;
    const { repeated, delayMs } = world.network;
    if (repeated === 0 || world.random() >= repeated) return;
    world.at(world.nowMs + world.random() * 2 * delayMs, () => world.execute(method, args));
  }

  #delay(): number {
    return this.#world.random() * this.#world.network.delayMs;
  }
}
