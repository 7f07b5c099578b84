// Sends calls to Redis, many in one script where many are made at once.
//
//   a call is made while               what becomes of it
//   no call is on its way              it is sent at once, alone
//   others are on their way            it waits until the event loop has gone through what it is busy with, so that the
//                                      calls which are made meanwhile go together
//
// A busy program so pays for a command, its reply and the start of a script once for many calls, and a program with
// little to do loses no time.

import { messageOf } from "../core/errors.ts";
import { TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";
import { type BatchedCall, batchOf, errorIn } from "./batch.ts";
import type { Breaker, PendingCall } from "./breaker.ts";
import type { Connection } from "./client.ts";
import { BATCH } from "./lua.generated.ts";
import { runScript } from "./script.ts";
import { slotOf } from "./slot.ts";

/** What is held here is what a program sees that has not replaced its timers by false ones. */
const atTurnsEnd =
  (globalThis as { setImmediate?: (run: () => void) => unknown }).setImmediate?.bind(globalThis) ?? queueMicrotask;

interface QueuedCall extends BatchedCall, PendingCall<unknown> {}

/**
 * These always hold:
 * - A call waits or was sent, and it is sent once, unless Redis said that nothing was executed.
 * - The calls that wait are in the order in which they were made. They are less than `maxCalls`.
 * - While a call waits, the end of the turn will send it.
 */
export class CallQueue {
  readonly #connection: Connection;
  readonly #breaker: Breaker;
  readonly #hasCallersClock: boolean;
  /** 1 where no calls share a script. */
  #maxCalls: number;
  #waiting: QueuedCall[] = [];
  #willFlush = false;
  /** How many scripts are unanswered. */
  #onTheWay = 0;

  constructor(connection: Connection, breaker: Breaker, maxCalls: number, hasCallersClock: boolean) {
    this.#connection = connection;
    this.#breaker = breaker;
    this.#hasCallersClock = hasCallersClock;
    // A promise of one request must not be settled by another one there.
    this.#maxCalls = TIMERS_END_WITH_REQUESTS ? 1 : maxCalls;
  }

  /** What Redis replies to a call. Fails as `Breaker.run` does. */
  ask({ terms, keys, own }: BatchedCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { isProbe, deadline } = this.#breaker.begin(resolve, reject);
      this.#add({ terms, keys, own, isProbe, deadline, resolve, reject });
    });
  }

  /** Sends what waits, so that it comes before what is sent next. */
  flush(): void {
    const calls = this.#waiting.filter(({ deadline }) => deadline.expire !== undefined);
    this.#waiting = [];
    if (calls.length === 0) return;
    if (this.#connection.isCluster) for (const ofSlot of bySlot(calls)) this.#send(ofSlot);
    else this.#send(calls);
  }

  #add(call: QueuedCall): void {
    this.#waiting.push(call);
    if (this.#onTheWay === 0 || this.#waiting.length >= this.#maxCalls || call.isProbe) {
      this.flush();
    } else if (!this.#willFlush) {
      this.#willFlush = true;
      atTurnsEnd(() => {
        this.#willFlush = false;
        this.flush();
      });
    }
  }

  #send(calls: readonly QueuedCall[]): void {
    if (calls.length === 1) this.#sendAlone(calls[0]!);
    else this.#sendTogether(calls);
  }

  #sendAlone(call: QueuedCall): void {
    const { terms, keys, own } = call;
    this.#onTheWay++;
    runScript(this.#connection, terms.command, [...keys], [...terms.args, ...own]).then(
      (reply) => {
        this.#onTheWay--;
        this.#breaker.answer(call, reply);
      },
      (error: unknown) => {
        this.#onTheWay--;
        this.#breaker.fail(call, error);
      },
    );
  }

  #sendTogether(calls: readonly QueuedCall[]): void {
    const batch = batchOf(calls, this.#hasCallersClock);
    this.#onTheWay++;
    runScript(this.#connection, BATCH, batch.keys, batch.args).then(
      (reply) => {
        this.#onTheWay--;
        this.#answer(batch.calls, reply);
      },
      (error: unknown) => {
        this.#onTheWay--;
        if (!/^CROSSSLOT\b/.test(messageOf(error))) {
          for (const call of calls) this.#breaker.fail(call, error);
          return;
        }
        // Nothing was executed. Something in between lets no keys of several slots through together, now or later.
        this.#maxCalls = 1;
        for (const call of calls) this.#sendAlone(call);
      },
    );
  }

  /** Tells each call its reply. Where the reply is none of a batch, a call gets nothing, which nobody understands. */
  #answer(calls: readonly QueuedCall[], reply: unknown): void {
    const replies: readonly unknown[] = Array.isArray(reply) && reply.length === calls.length ? reply : [];
    for (const [index, call] of calls.entries()) {
      const error = errorIn(replies[index]);
      if (error === undefined) this.#breaker.answer(call, replies[index]);
      else this.#breaker.fail(call, error);
    }
  }
}

function bySlot(calls: readonly QueuedCall[]): Iterable<QueuedCall[]> {
  const groups = new Map<number, QueuedCall[]>();
  for (const call of calls) {
    const slot = slotOf(call.keys[0]);
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [call]);
    else group.push(call);
  }
  return groups.values();
}
