// What scripts/write-api.js makes of declarations: a small package with every shape that a type can have.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "./support/process.ts";

const DECLARATIONS = `
/** D. */
export declare function find(key: string, count?: number, fallback?: string | undefined): string | undefined;
/** D. */
export declare function keyFrom<Raw = unknown>(...names: readonly string[]): (request: Raw) => string | null | undefined;
/** D. */
export declare function pick(key: string): string;
export declare function pick(key: number): number | undefined;
/** D. */
export declare const plugin: Limit<string>;
/**
 * One of
 * - \`"a"\`: a
 * - \`"b"\`: b
 */
export type Letter = "a" | "b";
/** D. */
export type Limit<Key extends string | number = string> = {
    readonly key: Key | null;
    count?: number;
} | false;
interface Hidden {
    /** D. */
    readonly hidden: number;
    readonly told?: undefined;
}
/** D. */
export type Pair = Hidden & ({
    /** D. */
    readonly left: number;
} | Reader<string>);
/** D. */
export interface Reader<Raw> extends Iterable<Raw> {
    /** D. */
    (): Raw | undefined;
    /** D. */
    [name: string]: unknown;
    /** D. */
    readonly all: readonly {
        readonly raw: Raw;
    }[];
    /** D. */
    state?: "up" | "down" | null;
    /** D. */
    read(at?: number): Promise<Raw | undefined>;
    /** D. */
    close?(): void;
}
/** D. */
export declare class Failure<Code> extends Error implements Iterable<Code> {
    /** D. */
    constructor(code: Code | undefined);
    /** D. */
    [Symbol.iterator](): Iterator<Code>;
}
export {};
`;

it("docs/api.md has types and signatures as they are declared, with nothing left out", () => {
  const folder = mkdtempSync(join(tmpdir(), "trypema-api-"));
  try {
    mkdirSync(join(folder, "docs"));
    writeFileSync(join(folder, "index.d.ts"), DECLARATIONS);
    writeFileSync(join(folder, "package.json"), JSON.stringify({ exports: { ".": { default: "./index.js" } } }));
    execFileSync(process.execPath, [join(ROOT, "scripts", "write-api.js"), folder]);
    const text = readFileSync(join(folder, "docs", "api.md"), "utf8");
    const heads = text.split("\n").filter((line) => /^(\*\*`|- `|class|interface)/.test(line));
    expect(heads.map((line) => line.replace(/ D\.$/, ""))).toEqual([
      "**`find(key: string, count?: number, fallback?: string | undefined): string | undefined`**",
      "**`keyFrom<Raw = unknown>(...names: readonly string[]): (request: Raw) => string | null | undefined`**",
      "**`pick(key: string): string`**<br>**`pick(key: number): number | undefined`**",
      "class `Failure<Code>` extends `Error` implements `Iterable<Code>`",
      "**`new (code: Code | undefined)`**",
      "**`[Symbol.iterator](): Iterator<Code>`**",
      '**`type Letter = "a" | "b"`**',
      '- `"a"`: a',
      '- `"b"`: b',
      "**`type Limit<Key extends string | number = string> = { readonly key: Key | null; count?: number; } | false`**",
      "**`type Pair = Hidden & ({ readonly left: number; } | Reader<string>)`**",
      "**`readonly hidden: number`**",
      "**`readonly left: number`**",
      "interface `Reader<Raw>` extends `Iterable<Raw>`",
      "**`(): Raw | undefined`**",
      "**`[name: string]: unknown`**",
      "**`readonly all: readonly { readonly raw: Raw; }[]`**",
      '**`state?: "up" | "down" | null`**',
      "**`read(at?: number): Promise<Raw | undefined>`**",
      "**`close?(): void`**",
      "**`const plugin: Limit<string>`**",
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
