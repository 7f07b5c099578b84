// What only a terminal is sent.

import type { Streams } from "./command.ts";

/** A progress line changes at most so often. */
const SHOWN_EVERY_MS = 100;

/** Bold on a terminal, unless NO_COLOR is set (https://no-color.org). */
export function bold(text: string, stream: Streams["stdout"]): string {
  const { NO_COLOR, TERM } = process.env;
  const isWanted = stream.isTTY === true && !NO_COLOR && TERM !== "dumb";
  return isWanted ? `\u001B[1m${text}\u001B[22m` : text;
}

/** A line on stderr that is written over, where stderr is a terminal, and nothing elsewhere. */
export class ProgressLine {
  readonly #stream: Streams["stderr"];
  #shownMs = Number.NEGATIVE_INFINITY;
  #isShown = false;

  constructor(stream: Streams["stderr"]) {
    this.#stream = stream;
  }

  show(text: string): void {
    const nowMs = performance.now();
    if (this.#stream.isTTY !== true || nowMs - this.#shownMs < SHOWN_EVERY_MS) return;
    this.#shownMs = nowMs;
    this.#isShown = true;
    this.#stream.write(`\r\u001B[K${text}`);
  }

  clear(): void {
    if (this.#isShown) this.#stream.write("\r\u001B[K");
    this.#isShown = false;
  }
}
