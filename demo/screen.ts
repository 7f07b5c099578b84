// Where the demo writes: a terminal, where the last row can change, or anything else, which gets
// plain finished lines.

import { styleText } from "node:util";
import type { ChartStyle, Paint } from "./chart.ts";

/** The part of `process.stdout` that is used. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** The part of `process.env` that is used. */
export interface Environment {
  readonly TERM?: string | undefined;
  readonly NO_COLOR?: string | undefined;
}

const WIDTH_OFF_TERMINAL = 80;

const COLOURS = { admitted: "green", offered: "gray", limit: "yellow", failed: "red" } as const;

// The screen itself knows whether the output is a terminal.
const coloured: Paint = (ink, text) => styleText(COLOURS[ink], text, { validateStream: false });
const plain: Paint = (_ink, text) => text;

const ERASE_TO_END = "\u001b[K";

export class Screen {
  readonly #output: Output;
  readonly #paint: Paint;
  /** Whether a row can be drawn over. */
  readonly #live: boolean;
  #drafted = false;

  constructor(output: Output, env: Environment) {
    this.#output = output;
    this.#live = output.isTTY === true && env.TERM !== "dumb";
    this.#paint = this.#live && !env.NO_COLOR ? coloured : plain;
  }

  /** Asked for each row anew, since terminals are resized. A row that filled the last column might wrap. */
  get style(): ChartStyle {
    const columns = this.#output.columns ?? 0;
    return { width: columns > 0 ? columns - 1 : WIDTH_OFF_TERMINAL, paint: this.#paint };
  }

  /** Writes a line, in place of a draft if there is one. */
  print(line: string): void {
    this.#output.write(this.#drafted ? `\r${line}${ERASE_TO_END}\n` : `${line}\n`);
    this.#drafted = false;
  }

  /** Shows a line that is not final yet; only where it can be drawn over. */
  draft(line: string): void {
    if (!this.#live) return;
    this.#output.write(`\r${line}${ERASE_TO_END}`);
    this.#drafted = true;
  }

  /** Leaves the line of a draft, as it is. */
  endDraft(): void {
    if (this.#drafted) this.#output.write("\n");
    this.#drafted = false;
  }
}
