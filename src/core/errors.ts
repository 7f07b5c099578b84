/** The stable codes of a {@link TrypemaError}; messages may change, codes don't. */
export type TrypemaErrorCode =
  | "INVALID_RATE"
  | "INVALID_OPTION"
  | "INVALID_KEY"
  | "INVALID_COUNT"
  | "CAPACITY_BELOW_ONE"
  | "BACKEND_UNAVAILABLE"
  | "BACKEND_TIMEOUT"
  | "BACKEND_SCRIPT";

/** The page with the cause and the fix of each code. It comes with the package, so it fits the version in use. */
const PAGE = "node_modules/trypema/docs/errors.md";

/** The message, with the address of the section about its code. */
export function withHelp(message: string, code: string): string {
  return `${message} (${PAGE}#${code.toLowerCase()})`;
}

/**
 * Marks the errors of every copy of this package. There may be two copies in a program, such as one in a bundle and one
 * beside it, and a user's `instanceof` has to be true for the errors of both.
 */
const MARK = Symbol.for("trypema.error");

/**
 * A mistake in a call or an option, or a Redis that can't be asked while the failure policy is `"throw"`. Nothing was
 * counted. A denial is never an exception: it is a decision with `allowed: false`.
 */
export class TrypemaError extends Error {
  /** What is wrong, as a stable code for programs. */
  readonly code: TrypemaErrorCode;

  /**
   * For a limiter or a client of your own that fails in the same way. The address of the code's section is added to the
   * message.
   */
  constructor(code: TrypemaErrorCode, message: string, options?: { cause?: unknown }) {
    super(withHelp(message, code), options);
    this.name = "TrypemaError";
    this.code = code;
  }

  /** @internal On the prototype, where neither `console.log` nor a comparison of errors shows it. */
  get [MARK](): true {
    return true;
  }

  /** @internal A class that extends this one inherits the method, and there the usual rule holds. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: only `this` is the class on the right of the `instanceof`.
    if (this !== TrypemaError) return super[Symbol.hasInstance](value);
    return typeof value === "object" && value !== null && MARK in value;
  }
}

/** How an error message shows a value of any kind: short, and never throwing itself. */
export function show(value: unknown): string {
  if (typeof value === "string") {
    return value.length <= 40
      ? JSON.stringify(value)
      : `${JSON.stringify(value.slice(0, 40))}… (${value.length} characters)`;
  }
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  if (typeof value === "function") return "a function";
  return String(value);
}

/** The text of whatever was thrown. Never throws, also when the thrown object can't be made a text. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return "an object without a text";
  }
}
