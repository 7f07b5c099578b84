// The lines of a file or of stdin, unpacked where they are packed by gzip. A line that is too long is cut, so that
// memory is bounded whatever the file.

import { constants, createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import { pipeline, Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { createGunzip } from "node:zlib";
import { Failure } from "../command.ts";
import { printable } from "../text.ts";

/** A line has so many characters at most; what is beyond is dropped. */
const LONGEST_LINE = 2 ** 20;
const CHUNK_BYTES = 2 ** 16;

export interface Source {
  /** For messages. */
  readonly name: string;
  open(): NodeJS.ReadableStream;
  /** How long it is on disk; undefined where that isn't known. */
  readonly bytes: number | undefined;
}

/**
 * Looks whether there is such a file, and opens nothing yet.
 *
 * @throws {Failure} where it can't be read
 */
export async function findSource(path: string, stdin: NodeJS.ReadableStream): Promise<Source> {
  if (path === "-") return { name: "stdin", open: () => stdin, bytes: undefined };
  const name = printable(path);
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new Failure(`${name} is a folder: name the files, such as ${name}/*.log`);
    await access(path, constants.R_OK);
    const bytes = found.isFile() ? found.size : undefined;
    return { name, open: () => createReadStream(path, { highWaterMark: CHUNK_BYTES }), bytes };
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(`${name} can't be read: ${reasonOf(error)}`);
  }
}

/**
 * Tells each line, without its end, and after each piece how many bytes of the source are read.
 *
 * @returns why the source ended early; undefined where it was read to its end
 * @throws {Failure} for a file that is packed in a way that isn't known here
 */
export async function readLines(
  { name, open }: Source,
  tell: (line: string) => void,
  onProgress: (bytes: number) => void,
): Promise<string | undefined> {
  const lines = new LineSplitter(tell);
  try {
    for await (const chunk of unpacked(name, counting(open(), onProgress))) lines.write(chunk);
  } catch (error) {
    if (error instanceof Failure || !isAboutInput(error)) throw error;
    lines.end();
    return reasonOf(error);
  }
  lines.end();
  return undefined;
}

async function* counting(stream: NodeJS.ReadableStream, onProgress: (bytes: number) => void): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of stream) {
    const buffer = Buffer.from(chunk as Uint8Array);
    yield buffer;
    bytes += buffer.length;
    onProgress(bytes);
  }
}

/** Packed files are known by their first bytes, because stdin has no name. */
async function* unpacked(name: string, chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  let first = Buffer.alloc(0);
  // A pipe may give a byte at a time.
  while (first.length < LONGEST_MARK) {
    const { value, done } = await chunks.next();
    if (done) break;
    first = Buffer.concat([first, value]);
  }
  const packer = MARKS.find(([, mark]) => first.subarray(0, mark.length).equals(mark))?.[0];
  if (packer === undefined || packer === "gzip") {
    const all = Readable.from(startingWith(first, chunks));
    // An error of the one stream is thrown by the other.
    yield* packer === "gzip" ? pipeline(all, createGunzip({ chunkSize: CHUNK_BYTES }), () => {}) : all;
    return;
  }
  throw new Failure(
    `${name} is packed by ${packer}: unpack it into a pipe, as in ${packer} -dc FILE | npx trypema size -`,
  );
}

const MARKS: readonly (readonly [packer: string, mark: Buffer])[] = [
  ["gzip", Buffer.from([0x1f, 0x8b])],
  ["zstd", Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ["xz", Buffer.from([0xfd, 0x37, 0x7a, 0x58])],
  ["bzip2", Buffer.from([0x42, 0x5a, 0x68])],
];
const LONGEST_MARK = 4;

async function* startingWith(first: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  yield* rest;
}

/** Always holds: `#start` is what came of a line whose end hasn't come, and no longer than the longest line. */
class LineSplitter {
  readonly #tell: (line: string) => void;
  readonly #decoder = new StringDecoder("utf8");
  #start = "";
  #isFirst = true;

  constructor(tell: (line: string) => void) {
    this.#tell = tell;
  }

  write(chunk: Buffer): void {
    const text = this.#decoder.write(chunk);
    let from = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", from)) {
      this.#end(text.slice(from, end));
      from = end + 1;
    }
    if (this.#start.length < LONGEST_LINE) this.#start = cut(this.#start + text.slice(from));
  }

  end(): void {
    const rest = this.#decoder.end();
    if (this.#start !== "" || rest !== "") this.#end(rest);
  }

  #end(rest: string): void {
    let line = this.#start === "" ? rest : cut(this.#start + rest);
    this.#start = "";
    if (this.#isFirst && line.startsWith(BYTE_ORDER_MARK)) line = line.slice(1);
    this.#isFirst = false;
    this.#tell(line.endsWith("\r") ? line.slice(0, -1) : line);
  }
}

const BYTE_ORDER_MARK = "\ufeff";

function cut(line: string): string {
  return line.length > LONGEST_LINE ? line.slice(0, LONGEST_LINE) : line;
}

/** Whether the file system or the unpacking failed, and not the program. */
function isAboutInput(error: unknown): boolean {
  return /^(E[A-Z]+|Z_[A-Z_]+)$/.test((error as { code?: unknown }).code as string);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "it may not be read",
  Z_BUF_ERROR: "the packed file ends too early",
  Z_DATA_ERROR: "the packed file is damaged",
};

function reasonOf(error: unknown): string {
  const { code = "", message } = error as { code?: string; message: string };
  return REASONS[code] ?? printable(message);
}
