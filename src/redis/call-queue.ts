// Sends calls to Redis, many in one script where many are made at once.
//
//   a call is made while               what becomes of it
//   no call is on its way              it is sent at once, alone
//   few are on their way, and the      it is sent at once, alone
//   program isn't busy
//   others are on their way            it waits until the event loop has gone through what it is busy with, so that the
//                                      calls which are made meanwhile go together
//
// A program is busy when the last calls that waited were several. One that isn't has two or three calls at a time. To
// wait for each other costs these more than a shared script saves: at 2 000 calls a second, the median of what a call
// took was a seventh longer.
//
// A look at a key (`isAllowed`, `get`) isn't sent at once, even if no call is on its way. It waits until its caller
// gives way, because a caller often looks at several keys, and so these looks go together.
//
// So a busy program pays once for many calls: for the command, for its reply and for the start of the script. A program
// with little to do loses no time.

import { messageOf, type TrypemaError } from "../core/errors.ts";
import { atTurnsEnd, TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";
import type { Counts } from "../core/watch.ts";
import { errorIn, isSameAsBefore, type KeyedCall, type Sending } from "./batch.ts";
import { type Breaker, type PendingCall, PromisedCall } from "./breaker.ts";
import type { Connection } from "./client.ts";
import { runScript } from "./script.ts";
import { slotOf } from "./slot.ts";

/** A call in a queue, which is told what becomes of it. */
export interface Queued<Call> extends PendingCall {
  readonly call: Call;
}

/** A call whose reply is promised. Two objects, because to spread a call and add a field to it took 12 µs. */
class Asked<Call> extends PromisedCall<unknown> implements Queued<Call> {
  readonly call: Call;

  constructor(call: Call, resolve: (reply: unknown) => void, reject: (error: TrypemaError) => void) {
    super(resolve, reject);
    this.call = call;
  }
}

/** What all queues of a provider share. */
export interface QueueParts {
  readonly connection: Connection;
  readonly breaker: Breaker;
  readonly counts: Pick<Counts, "scripts" | "scriptCalls">;
}

/** How many calls on their way are few. */
export const FEW_CALLS = 3;

/**
 * These always hold:
 * - A call waits or was sent, and it is sent once, unless Redis said that nothing was executed.
 * - The calls that wait are in the order in which they were made. They are less than `maxCalls`.
 * - While a call waits, the end of the turn will send it.
 */
export class CallQueue<Call extends KeyedCall> {
  readonly #connection: Connection;
  readonly #breaker: Breaker;
  readonly #sending: Sending<Call>;
  readonly #counts: Pick<Counts, "scripts" | "scriptCalls">;
  /** 1 where no calls share a script. */
  #maxCalls: number;
  readonly #mostAtOnce: number;
  #waiting: Queued<Call>[] = [];
  #willFlush = false;
  /** How many scripts are unanswered. */
  #onTheWay = 0;
  /** Whether the last calls that waited were several. */
  #isBusy = false;

  /**
   * @param mostAtOnce how many calls may be sent before the first of them is answered, each at once, while the program
   *   isn't busy. 0: each call waits until its caller gives way, because the caller may make others with it
   */
  constructor(
    { connection, breaker, counts }: QueueParts,
    sending: Sending<Call>,
    maxCalls: number,
    mostAtOnce: number,
  ) {
    this.#connection = connection;
    this.#breaker = breaker;
    this.#counts = counts;
    this.#sending = sending;
    this.#mostAtOnce = mostAtOnce;
    // A promise of one request must not be settled by another one there.
    this.#maxCalls = TIMERS_END_WITH_REQUESTS ? 1 : maxCalls;
  }

  /** What Redis replies to a call. Fails as `Breaker.run` does. */
  ask(call: Call): Promise<unknown> {
    return new Promise((resolve, reject) => this.enter(new Asked(call, resolve, reject)));
  }

  /**
   * Takes in a call, which is told what becomes of it.
   *
   * @throws {TrypemaError} as `Breaker.begin` does
   */
  enter(queued: Queued<Call>): void {
    this.#breaker.begin(queued);
    if (this.#waiting.length === 0 && this.#onTheWay < this.#mostOnTheWay) this.#sendAlone(queued);
    else this.#add(queued);
  }

  /** With less than that many scripts on their way, a call is sent at once. */
  get #mostOnTheWay(): number {
    return this.#isBusy ? Math.min(1, this.#mostAtOnce) : this.#mostAtOnce;
  }

  /**
   * Sends what waits, so that it comes before what is sent next. Calls whose deadline passed while they waited are not
   * sent, because they have failed already: Redis would count calls that the failure policy has decided instead.
   */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const calls = this.#waiting.filter(({ waits }) => waits);
    this.#waiting = [];
    if (calls.length === 0) return;
    this.#isBusy = calls.length > 1;
    if (this.#connection.isCluster) for (const ofSlot of bySlot(calls)) this.#send(ofSlot);
    else this.#send(calls);
  }

  #add(queued: Queued<Call>): void {
    this.#waiting.push(queued);
    if (this.#waiting.length >= this.#maxCalls || queued.isProbe) {
      this.flush();
    } else if (!this.#willFlush) {
      this.#willFlush = true;
      const later = this.#onTheWay === 0 ? whenCallerGivesWay : atTurnsEnd;
      later(() => {
        this.#willFlush = false;
        this.flush();
      });
    }
  }

  #send(calls: readonly Queued<Call>[]): void {
    if (calls.length === 1) this.#sendAlone(calls[0]!);
    else this.#sendTogether(calls);
  }

  #sendAlone(queued: Queued<Call>): void {
    const { call } = queued;
    const alone = this.#sending.alone?.(call);
    if (alone === undefined) {
      this.#sendTogether([queued]);
      return;
    }
    const { script, args } = alone;
    this.#noteScript(1);
    runScript(this.#connection, script, [...call.keys], args).then(
      (reply) => {
        this.#onTheWay--;
        this.#breaker.answer(queued, reply);
      },
      (error: unknown) => {
        this.#onTheWay--;
        this.#breaker.fail(queued, error);
      },
    );
  }

  #noteScript(calls: number): void {
    this.#onTheWay++;
    this.#counts.scripts++;
    this.#counts.scriptCalls += calls;
  }

  #sendTogether(calls: readonly Queued<Call>[]): void {
    const batch = this.#sending.together(calls.map(({ call }) => call));
    this.#noteScript(calls.length);
    runScript(this.#connection, batch.script, batch.keys, batch.args).then(
      (reply) => {
        this.#onTheWay--;
        this.#answer(
          batch.order.map((index) => calls[index]!),
          batch.sizes === undefined ? reply : inGroups(reply, batch.sizes, batch.isToldTime),
          batch.hasRepeats === true,
        );
      },
      (error: unknown) => {
        this.#onTheWay--;
        if (calls.length === 1 || !/^CROSSSLOT\b/.test(messageOf(error))) {
          for (const queued of calls) this.#breaker.fail(queued, error);
          return;
        }
        // Nothing was executed. Something in between lets no keys of several slots through together, now or later.
        this.#maxCalls = 1;
        for (const queued of calls) this.#sendAlone(queued);
      },
    );
  }

  /** Tells each call its reply. Where the reply is none of a batch, a call gets nothing, which nobody understands. */
  #answer(calls: readonly PendingCall[], reply: unknown, hasRepeats: boolean): void {
    const replies: readonly unknown[] = Array.isArray(reply) && reply.length === calls.length ? reply : [];
    let last: unknown;
    for (let index = 0; index < calls.length; index++) {
      const ofCall = hasRepeats && isSameAsBefore(replies[index]) ? last : replies[index];
      last = ofCall;
      const error = errorIn(ofCall);
      if (error === undefined) this.#breaker.answer(calls[index]!, ofCall);
      else this.#breaker.fail(calls[index]!, error);
    }
  }
}

/** The replies of each call as a list, or what failed; nothing where there are not as many as calls have. */
function inGroups(reply: unknown, sizes: readonly number[], isToldTime: readonly boolean[] = []): unknown {
  if (!Array.isArray(reply)) return reply;
  const groups: unknown[] = [];
  let at = 0;
  for (const [index, size] of sizes.entries()) {
    const group: readonly unknown[] = reply.slice(at, at + size);
    at += size;
    const told = isToldTime[index] ? [...group, reply.at(-1)] : group;
    groups.push(errorIn(group[0]) === undefined ? told : group[0]);
  }
  if (isToldTime.includes(true)) at++;
  return at === reply.length ? groups : undefined;
}

function whenCallerGivesWay(run: () => void): void {
  void Promise.resolve().then(run);
}

function bySlot<Call extends KeyedCall>(calls: readonly Queued<Call>[]): Iterable<Queued<Call>[]> {
  const groups = new Map<number, Queued<Call>[]>();
  for (const queued of calls) {
    const slot = slotOf(queued.call.keys[0]!);
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [queued]);
    else group.push(queued);
  }
  return groups.values();
}
