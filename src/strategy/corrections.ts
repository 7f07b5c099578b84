// The parts of `adjust` and `setIf` that need no buckets.

import type { Condition } from "../core/types.ts";

/** Whether `setIf` acts on a key whose live total is `total`. */
export function meets(condition: Condition, total: number): boolean {
  switch (condition.op) {
    case "lt":
      return total < condition.value;
    case "gt":
      return total > condition.value;
    case "eq":
      return total === condition.value;
    case "ne":
      return total !== condition.value;
    case "always":
      return true;
  }
}

/** `declined` of `from`, for counts that are now `to`; rounded down, in the limit's favour. */
export function shrunk(declined: number, from: number, to: number): number {
  // The product first: it is exact, and then so is the floor of its quotient.
  return to >= from ? declined : Math.floor((declined * to) / from);
}
