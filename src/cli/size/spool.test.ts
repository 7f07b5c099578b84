import { Readable } from "node:stream";
import { afterEach, expect, it, vi } from "vitest";
import { Failure } from "../command.ts";
import { readLines } from "./source.ts";
import { Spool } from "./spool.ts";

afterEach(() => vi.unstubAllEnvs());

it("fails where its temporary files can't be written, and doesn't blame the log", async () => {
  vi.stubEnv("TMPDIR", "/nonexistent");
  const spool = new Spool("time", 2);
  const source = { name: "log", open: () => Readable.from([Buffer.from("1\n2\n3\n")]), bytes: undefined };
  const read = readLines(
    source,
    (line) => spool.add(Number(line), 0, 1),
    () => {},
  );
  await expect(read).rejects.toThrow(/^temporary files can't be written in \/nonexistent, which TMPDIR names: ENOENT/);
  await expect(read).rejects.toBeInstanceOf(Failure);
});
