// Checks the arguments that only `setIf` takes.

import { show, TrypemaError } from "./errors.ts";
import type { Condition, History } from "./types.ts";

const HISTORIES: readonly History[] = ["replace", "preserve-newest", "preserve-oldest"];

/**
 * A copy of the condition. An object with getters could say something else when it is read again.
 *
 * @throws {TrypemaError} `INVALID_OPTION` for a wrong operator, `INVALID_COUNT` for a wrong value
 */
export function checkedCondition(condition: Condition): Condition {
  const op: unknown = condition?.op;
  if (op === "always") return { op };
  if (op !== "lt" && op !== "gt" && op !== "eq" && op !== "ne") {
    throw new TrypemaError(
      "INVALID_OPTION",
      `condition.op: got ${show(op)}, expected "lt", "gt", "eq", "ne" or "always"`,
    );
  }
  const value: unknown = condition.value;
  if (typeof value === "number" && !Number.isNaN(value)) return { op, value };
  throw new TrypemaError("INVALID_COUNT", `condition.value: got ${show(value)}, expected a number`);
}

/** @throws {TrypemaError} `INVALID_OPTION` */
export function checkHistory(history: History): void {
  if (HISTORIES.includes(history)) return;
  throw new TrypemaError("INVALID_OPTION", `history: got ${show(history)}, expected one of ${HISTORIES.join(", ")}`);
}
