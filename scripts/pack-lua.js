// Writes src/redis/lua.generated.ts: each script with its SHA-1, and what commands.js says of its arguments and its
// reply, as types and in their order. Every build runs this, so git doesn't have the file.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BATCHED, BUCKET, CHUNK, COMMANDS, DIGITS, LEASE, RUN_KINDS, STATE } from "../src/redis/lua/commands.js";
import {
  argumentsOfCommand,
  CLOCK_ARGUMENT,
  FOR_MANY,
  packBatch,
  packCommand,
  packForMany,
  packLimitedKeys,
  packTake,
} from "./lua-packer.js";

const target = new URL("../src/redis/lua.generated.ts", import.meta.url);

const TYPES = { number: "number", text: "string", flag: "boolean", optional: "number | undefined" };

function camelCase(name) {
  return name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase());
}

function typeName(name) {
  return camelCase(`_${name}`);
}

function sha1(source) {
  return createHash("sha1").update(source).digest("hex");
}

function scriptText(source) {
  return `{\n  sha1: "${sha1(source)}",\n  source: ${JSON.stringify(source)},\n}`;
}

/** The SHA-1 and the source of a script whose first part has a name in TypeScript, or is written out. */
function sourceLines(first, definition, rest) {
  return [`sha1: "${sha1(`${definition}\n${rest}`)}"`, `source: ${first} + ${JSON.stringify(`\n${rest}`)}`];
}

/** Two scripts have the definition of such a command, and the package has it once. */
function definitionName(name) {
  return `DEFINITION_OF_${name.toUpperCase()}`;
}

function scriptForManyText(name) {
  const { definition } = packCommand(name);
  const lines = sourceLines(definitionName(name), definition, packForMany(name)).map((line) => `  ${line},\n`);
  return `{\n${lines.join("")}}`;
}

/**
 * A function that gives values their names. The names are written out, because that costs a client a third of what it
 * costs to make an object of a list of names.
 */
function namedText(fields) {
  const entries = Object.keys(fields).map((name, index) => `${camelCase(name)}: values[${index}]!`);
  return entries.length === 0 ? "() => ({})" : `(values) => ({ ${entries.join(", ")} })`;
}

/** The names of `fields` in their order. */
function listOf(fields) {
  return JSON.stringify(Object.keys(fields).map(camelCase));
}

/** The properties of a type, each with its comment. */
function propertiesOf(fields, typeOf) {
  const lines = Object.entries(fields).map(
    ([name, field]) => `  /** ${field.comment ?? field} */\n  readonly ${camelCase(name)}: ${typeOf(field)};\n`,
  );
  return lines.join("");
}

function argumentTypes(name, command) {
  const { repeated } = command;
  const type = typeName(name);
  const own = propertiesOf({ ...argumentsOfCommand(command), ...CLOCK_ARGUMENT }, ({ kind }) => TYPES[kind]);
  if (repeated === undefined) return `export interface ${type}Arguments {\n${own}}\n`;
  const item = `${type}${typeName(repeated.name)}`;
  const fields = propertiesOf(repeated.fields, ({ kind }) => TYPES[kind]);
  const list = `  /** ${repeated.comment} */\n  readonly ${repeated.name}s: readonly ${item}[];\n`;
  return `export interface ${item} {\n${fields}}\n\nexport interface ${type}Arguments {\n${own}${list}}\n`;
}

function commandText(name) {
  const command = COMMANDS[name];
  const { comment, reply = {}, repeated } = command;
  const isBatched = BATCHED.includes(name);
  const { definition, call } = packCommand(name);
  const type = typeName(name);
  const lines = [
    ...sourceLines(FOR_MANY.includes(name) ? definitionName(name) : JSON.stringify(definition), definition, call),
    `arguments: ${listOf(argumentsOfCommand(command))}`,
    ...(repeated === undefined ? [] : [`repeated: { list: "${repeated.name}s", fields: ${listOf(repeated.fields)} }`]),
    `reply: ${listOf(reply)}`,
    `named: ${namedText(reply)}`,
    ...(isBatched ? [`ownOfCall: ${command.ownOfCall}`] : []),
  ];
  const kind = isBatched ? "BatchedCommand" : "Command";
  const members = lines.map((line) => `  ${line},\n`).join("");
  return `${argumentTypes(name, command)}
export interface ${type}Reply {\n${propertiesOf(reply, () => "number")}}

/** ${comment} */
export const ${name.toUpperCase()}: ${kind}<${type}Arguments, ${type}Reply> = {\n${members}};
`;
}

/** The text of lua.generated.ts. The tests take it from here, so that they run the Lua as it is on disk. */
export function packLua() {
  const state = Object.assign({}, ...Object.values(STATE));
  return `// Made by scripts/pack-lua.js from the files in lua/.

import type { BatchedCommand, Command } from "./commands.ts";
import type { Script } from "./script.ts";

/** The numbers of a key's state. */
export const STATE_FIELDS = ${listOf(state)} as const;

/** The numbers of a bucket. */
export const BUCKET_FIELDS = ${listOf(BUCKET)} as const;

/** The numbers that a chunk has after its buckets. */
export const CHUNK_FIELDS = ${listOf(CHUNK)} as const;

/** The numbers of a lease. */
export const LEASE_FIELDS = ${listOf(LEASE)} as const;

/** What kind of run takes are. */
export const RUN_KINDS = { ${Object.entries(RUN_KINDS)
    .map(([kind, number]) => `${camelCase(kind)}: ${number}`)
    .join(", ")} } as const;

/** How plain takes are given whole numbers: see lua/commands.js. */
export const DIGITS = ${JSON.stringify(DIGITS)} as const;

${FOR_MANY.map((name) => `const ${definitionName(name)} = ${JSON.stringify(packCommand(name).definition)};\n`).join("")}
${Object.keys(COMMANDS).map(commandText).join("\n")}
/** Decides about many calls, each as ${BATCHED.join(" or ")} would. */
export const BATCH: Script = ${scriptText(packBatch())};

/** Decides about takes, each of several calls. */
export const TAKE: Script = ${scriptText(packTake())};

/** Looks at many keys, each as peek would. */
export const PEEK_BATCH: Script = ${scriptForManyText("peek")};

/** Takes many reports, each as sync would. */
export const SYNC_BATCH: Script = ${scriptForManyText("sync")};

/** Adds denials to those that all processes share. */
export const LIMITED_KEYS: Script = ${scriptText(packLimitedKeys())};
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(target, packLua());
