// A terminal that is drawn over again and again, and left as it was.

import type { Streams } from "../command.ts";

const ENTER = "\u001B[?1049h\u001B[?25l";
const LEAVE = "\u001B[?25h\u001B[?1049l";
const CLEAR = "\u001B[H\u001B[2J";
const CTRL_C = "\u0003";
const CTRL_D = "\u0004";

type Input = Streams["stdin"] & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): void };

/**
 * Has the terminal from when it is made until `leave`. Always holds: while it has it, `q`, Ctrl-C, Ctrl-D, SIGTERM and
 * the end of the input end that.
 */
export class Screen {
  readonly #streams: Streams;
  readonly #end = new AbortController();
  readonly #onKey = (keys: Buffer | string) => {
    if (["q", "Q", CTRL_C, CTRL_D].some((key) => String(keys).includes(key))) this.#end.abort();
  };
  readonly #onEnd = () => this.#end.abort();
  #has = true;

  constructor(streams: Streams) {
    this.#streams = streams;
    const input: Input = streams.stdin;
    // In raw mode Ctrl-C comes as a key, and a key isn't shown.
    if (input.isTTY === true) {
      input.setRawMode?.(true);
      input.on("data", this.#onKey);
      input.on("end", this.#onEnd);
    }
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, this.#onEnd);
    streams.stdout.write(ENTER);
  }

  /** Whether somebody wants to leave. */
  get isLeft(): boolean {
    return this.#end.signal.aborted;
  }

  draw(lines: readonly string[]): void {
    const { columns = 80, rows = 24 } = this.#streams.stdout;
    const shown = lines.slice(0, rows).map((line) => line.slice(0, columns));
    this.#streams.stdout.write(`${CLEAR}${shown.join("\r\n")}`);
  }

  /** What `work` comes to, or undefined as soon as somebody wants to leave: a server that hangs keeps nobody. */
  unlessLeft<Result>(work: Promise<Result>): Promise<Result | undefined> {
    const { signal } = this.#end;
    return new Promise((resolve, reject) => {
      const leave = () => resolve(undefined);
      signal.addEventListener("abort", leave);
      if (signal.aborted) leave();
      work.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
    });
  }

  /** Waits until somebody wants to leave, for so long at most. */
  left(ms: number): Promise<void> {
    const { signal } = this.#end;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }

  /** Leaves the terminal as it was. */
  leave(): void {
    if (!this.#has) return;
    this.#has = false;
    const input: Input = this.#streams.stdin;
    if (input.isTTY === true) {
      input.setRawMode?.(false);
      input.off("data", this.#onKey);
      input.off("end", this.#onEnd);
      input.pause();
    }
    for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, this.#onEnd);
    this.#streams.stdout.write(LEAVE);
  }
}
