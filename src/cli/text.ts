// Text for people: what a terminal may be sent, numbers, times, tables.

/** A message shows so many characters of a text that somebody else has written. */
const MOST_SHOWN = 100;

/**
 * What a terminal acts on in place of showing it: control characters, those of C1 included, and characters that turn
 * the direction of writing or have no width. A log has texts that clients chose, so none of these may get through.
 */
const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;

function escapeCharacter(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

/** `text` on one line, with harmful characters as `\u{1b}`. */
export function printable(text: string, mostShown = MOST_SHOWN): string {
  const shown = text.length <= mostShown ? text : `${text.slice(0, mostShown)}…`;
  return shown.replaceAll(HARMFUL, escapeCharacter);
}

/** JSON in which no character is harmful to a terminal: `JSON.stringify` leaves those of C1, for one. */
export function printableJson(value: unknown): string {
  const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const escapeFound = (found: string) =>
    found === "\n" ? found : Array.from({ length: found.length }, (_, i) => escapeUnit(found[i]!)).join("");
  return JSON.stringify(value, null, 2).replaceAll(HARMFUL, escapeFound);
}

/** 1234567 as "1 234 567". */
export function grouped(number: number): string {
  const [whole = "", fraction] = String(Math.round(number * 10) / 10).split(".");
  const groups = whole.replaceAll(/\B(?=(\d{3})+$)/g, " ");
  return fraction === undefined ? groups : `${groups}.${fraction}`;
}

/** A number with its noun. */
export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** A share as a percentage of two digits, and never 0 % or 100 % for what isn't none or all. */
export function percent(share: number): string {
  if (share === 0 || share === 1) return `${100 * share} %`;
  if (share < 0.0001) return "< 0.01 %";
  if (share > 0.999 && share < 1) return "> 99.9 %";
  return `${Number((100 * share).toPrecision(share > 0.1 ? 3 : 2))} %`;
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** A length of time in the largest unit that it is a whole number of: "90 s", "1 h". */
export function duration(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, one]) => ms >= one && ms % one === 0) ?? UNITS.at(-1)!;
  return `${Number((ms / unitMs).toFixed(1))} ${unit}`;
}

/** A length of time in about two digits: "1.5 h". What is nearly an hour isn't 60 minutes. */
export function roughDuration(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, one]) => ms >= 0.996 * one) ?? UNITS.at(-1)!;
  return `${Number((ms / unitMs).toPrecision(ms / unitMs < 100 ? 2 : 3))} ${unit}`;
}

/** A time as "2026-11-27 15:08:34", in UTC. */
export function dateTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}

/** Columns of text. The first one begins at the left, and numbers in the others end at the same place. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]!.length)));
  const isText = head.map((_, column) => rows.some((row) => !/^[\d<>-]|^$/.test(row[column]!)) || column === 0);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (isText[column] ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map(line);
}
