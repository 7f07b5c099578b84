// What the benchmarks print, and put into a page of docs when they are told to `--write`.

import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";

export class Report {
  readonly #lines: string[] = [];
  readonly #page: URL;

  constructor(page = "benchmarks.md") {
    this.#page = new URL(`../../docs/${page}`, import.meta.url);
    this.print(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}.\n`);
  }

  print(line = ""): void {
    console.log(line);
    this.#lines.push(line);
  }

  printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
    const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
    this.print(row(head));
    this.print(row(head.map((_, column) => (column === 0 ? "---" : "---:"))));
    for (const cells of rows) this.print(row(cells));
    this.print();
  }

  /** Ends the report: it goes between the comments that name `command`, if that was asked for. */
  end(command: string): void {
    if (!process.argv.includes("--write")) return;
    const report = readFileSync(this.#page, "utf8");
    const begin = `<!-- ${command} -- --write: from here -->\n`;
    const from = report.indexOf(begin) + begin.length;
    const to = report.indexOf("<!-- to here -->", from);
    writeFileSync(this.#page, `${report.slice(0, from)}\n${this.#lines.join("\n")}${report.slice(to)}`);
  }
}

/** How many processes, in words. */
export function processes(count: number): string {
  return `${count} process${count === 1 ? "" : "es"}`;
}
