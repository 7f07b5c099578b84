// The denials of all processes, in one Redis key that is gone when it says nothing any longer.

import type { ForwardClock } from "../core/clock.ts";
import type { SharedDenials } from "../core/family.ts";
import type { Counter, Summary } from "../core/sketch.ts";
import { luaNumber } from "./commands.ts";
import { LIMITED_KEYS } from "./lua.generated.ts";
import type { Backend } from "./parts.ts";
import { isWhole, misfit, numberFrom, textFrom } from "./reply.ts";

/** @param callersClock undefined for the server's time */
export function sharingDenials(
  backend: Backend,
  redisKey: string,
  callersClock: ForwardClock | undefined,
): SharedDenials {
  const run = (own: Summary, size: number, spanMs: number, isRead: boolean) => {
    const nowMs = callersClock === undefined ? "" : luaNumber(callersClock.now());
    const args = [String(spanMs), String(size), isRead ? "1" : "0", nowMs, String(own.floor)];
    for (const { id, count, error } of own.counters) args.push(id, String(count), String(error));
    return backend.run(LIMITED_KEYS, [redisKey], args);
  };
  return {
    get isReachable() {
      return !backend.isOut;
    },
    async add(own, size, spanMs) {
      await run(own, size, spanMs, false);
    },
    async addAndRead(own, size, spanMs) {
      return summariesFrom(await run(own, size, spanMs, true));
    },
  };
}

/** @throws {TrypemaError} `BACKEND_SCRIPT` */
function summariesFrom(reply: unknown): readonly Summary[] {
  if (!Array.isArray(reply) || reply.length !== 2) throw misfit(reply);
  return reply.map(summaryFrom);
}

function summaryFrom(denials: unknown): Summary {
  if (!Array.isArray(denials) || denials.length % 3 !== 1) throw misfit(denials);
  const floor = numberFrom(denials[0]);
  const counters: Counter[] = [];
  for (let i = 1; i < denials.length; i += 3) {
    const [id, count, error] = [textFrom(denials[i]), numberFrom(denials[i + 1]), numberFrom(denials[i + 2])];
    if (!isWhole(count) || !isWhole(error) || error > count) throw misfit(denials);
    counters.push({ id, count, error });
  }
  if (!isWhole(floor)) throw misfit(denials);
  return { counters, floor };
}
