import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { readLines, type Source } from "./source.ts";

function sourceOf(...chunks: Buffer[]): Source {
  return { name: "log", open: () => Readable.from(chunks), bytes: undefined };
}

async function linesOf(...chunks: Buffer[]): Promise<{ lines: string[]; reason: string | undefined }> {
  const lines: string[] = [];
  const reason = await readLines(
    sourceOf(...chunks),
    (line) => lines.push(line),
    () => {},
  );
  return { lines, reason };
}

const TEXT = Buffer.from("\ufeffone\r\ntwo ü\n\nfour");
const LINES = ["one", "two ü", "", "four"];

it("reads lines, however they are cut into pieces, and unpacks them", async () => {
  const parts = [gzipSync(TEXT.subarray(0, 9)), gzipSync(TEXT.subarray(9))];
  for (const bytes of [TEXT, gzipSync(TEXT), Buffer.concat(parts)]) {
    for (const size of [1, 3, bytes.length]) {
      const count = Math.ceil(bytes.length / size);
      const chunks = Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
      expect(await linesOf(...chunks)).toEqual({ lines: LINES, reason: undefined });
    }
  }
  expect(await linesOf()).toEqual({ lines: [], reason: undefined });
  expect(await linesOf(Buffer.from("\n"))).toEqual({ lines: [""], reason: undefined });
});

it("keeps what came before a packed file ends too early or is damaged", async () => {
  const packed = gzipSync(Buffer.from("a line\n".repeat(50_000)), { level: 0 });
  const cut = await linesOf(packed.subarray(0, packed.length / 2));
  expect(cut.lines.length).toBeGreaterThan(1_000);
  expect(cut.reason).toBe("the packed file ends too early");
  const damaged = Buffer.from(packed);
  damaged.fill(0xff, packed.length - 8);
  expect((await linesOf(damaged)).reason).toBe("the packed file is damaged");
});

it("cuts a line without an end, so that memory stays small", async () => {
  const { lines } = await linesOf(...new Array<Buffer>(64).fill(Buffer.alloc(2 ** 16, "x")), Buffer.from("\nlast"));
  expect(lines.map((line) => line.length)).toEqual([2 ** 20, 4]);
});

it("says how to unpack what isn't packed by gzip", async () => {
  const zstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0]);
  await expect(linesOf(zstd)).rejects.toThrow("zstd -dc FILE | npx trypema size -");
});
