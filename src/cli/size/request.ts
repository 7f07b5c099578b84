// A line of a log, read.

/** What is needed of a request. A parser fills one in place of making one for each line, which takes no memory. */
export interface LoggedRequest {
  timeMs: number;
  client: string;
  cost: number;
}

/** Reads the lines of one log. */
export interface LineParser {
  /** @returns what is wrong with the line; undefined where it was read into `request`, and "" where it has nothing */
  parse(line: string, request: LoggedRequest): string | undefined;
}

/** The columns or fields that were asked for; undefined where they are to be guessed. */
export interface Fields {
  readonly time: string | undefined;
  readonly client: string | undefined;
  readonly cost: string | undefined;
}

export const MOST_COST = 2 ** 32 - 1;

/** Sets the cost of a request. @returns what is wrong with it */
export function setCost(request: LoggedRequest, value: unknown): string | undefined {
  const cost = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof cost !== "number" || !Number.isInteger(cost) || cost < 0 || cost > MOST_COST) {
    return `the cost is no whole number from 0 to ${MOST_COST}`;
  }
  request.cost = cost;
  return undefined;
}
