import { createRequire } from "node:module";
import { dirname } from "node:path";

/** The folder of the package. */
export const ROOT = dirname(createRequire(import.meta.url).resolve("trypema/package.json"));

/** A bound for what hangs, and not for a machine that is slow. */
export const HANG_MS = 240_000;
