import { show, TrypemaError } from "../core/errors.ts";

/** A clock that stands still until you move it. Call it to read the time. Made by {@link manualClock}. */
export interface ManualClock {
  /** The time in ms. */
  (): number;
  /** Moves the time by `ms`; a negative number sets it back, as a wall clock may be. */
  advance(ms: number): void;
  /** Sets the time to `ms`. */
  set(ms: number): void;
}

/**
 * Makes a clock for tests, for the option `clock` of a provider. You move its time, so a window passes at once.
 *
 * @param startMs the time at first; default 0
 * @example
 * const clock = manualClock();
 * const provider = createLocalProvider({ windowMs: 60_000, clock });
 * provider.absolute.inc("key", perMinute(1));
 * clock.advance(60_000); // a minute later
 *
 * @throws {TrypemaError} `INVALID_OPTION` for a time that isn't a finite number
 */
export function manualClock(startMs = 0): ManualClock {
  let nowMs = finite("startMs", startMs);
  return Object.assign(() => nowMs, {
    advance(ms: number) {
      nowMs += finite("advance", ms);
    },
    set(ms: number) {
      nowMs = finite("set", ms);
    },
  });
}

function finite(name: string, ms: number): number {
  if (Number.isFinite(ms)) return ms;
  throw new TrypemaError("INVALID_OPTION", `${name}: got ${show(ms)}, expected a finite number of milliseconds`);
}
