// Makes one Lua script of a command and of the functions that it uses.
//
// The files in src/redis/lua are plain Lua: functions with named parameters and results, and a `window` with named
// fields. Redis compiles nothing away, though. A call of a script takes about 8 µs there; to make a function costs 50
// to 90 ns each time, to call one 25 to 70 ns, to make a table for the window 340 ns, and to read or write a field of
// it 10 ns. All that would make a call an eighth slower. So the packer writes functions out and takes the window apart:
//
// - A call is a statement of its own: `f(x)`, `local a, b = f(x)` or `a, b = f(x)`. It is replaced by the body of `f`,
//   in a block that has the parameters as locals, but for those that would be copies of a variable of the same name.
//   For that, `f` has one `return` at most, and that in its last line.
// - `window.total` becomes the local variable `window_total`, `arguments.limit` the number `(arguments[4] + 0)`,
//   `keys.state` becomes `keys[1]`, `terms.limit` the number `terms[4]`, `reply({ name = … })` a list in the order that
//   commands.js describes, and names in capitals become what they stand for.
//
// `take.lua` keeps windows beyond a function, so there a window is a table: `window.total` becomes `window[9]`. And
// `takes` is a record of variables that all its functions share.
//
// A function sees nothing but its parameters, its locals and other functions: the packer refuses any other name, and
// any field that commands.js doesn't have.

import { readdirSync, readFileSync } from "node:fs";
import {
  BATCHED,
  BUCKET,
  COMMANDS,
  CONSTANTS,
  DIGITS,
  LEASE,
  STATE,
  TAKES,
  WINDOW,
} from "../src/redis/lua/commands.js";

const FOLDER = new URL("../src/redis/lua/", import.meta.url);

/** What a function need not be given. */
const GLOBALS = new Set([
  "redis",
  "math",
  "struct",
  "cmsgpack",
  "cjson",
  "table",
  "ipairs",
  "unpack",
  "pcall",
  "error",
  "type",
  "tostring",
  "reply",
  "functions",
]);
const KEYWORDS = new Set(
  "and break do else elseif end false for function if in local nil not or repeat return then true until while".split(
    " ",
  ),
);
/** Parameters that are not values of their own: they are passed on by their names only. */
const RECORDS = ["window", "keys", "arguments", "takes"];

/** Strings, so that nothing is looked for in them, and names, with what makes a name a field. */
const STRING_OR_NAME = /'[^']*'|[.:]?\b[A-Za-z_]\w*\b/g;

/**
 * @typedef {object} LuaFunction
 * @property {string} name
 * @property {string[]} parameters
 * @property {string[]} lines the body, a statement a line, without comments
 */

/** Replaces names that are no fields and in no string. */
function replaceNames(line, replacement) {
  return line.replaceAll(STRING_OR_NAME, (token) => (/^['.:]/.test(token) ? token : replacement(token)));
}

function namesIn(line) {
  return (line.match(STRING_OR_NAME) ?? []).filter((token) => !/^['.:]/.test(token));
}

/** How many brackets are open at the end of `code`. */
function depthOf(code) {
  const plain = code.replaceAll(/'[^']*'/g, "");
  return (plain.match(/[({[]/g)?.length ?? 0) - (plain.match(/[)}\]]/g)?.length ?? 0);
}

/** The parts of `list` between commas that are in no brackets. */
function split(list) {
  const parts = [];
  let part = "";
  for (const piece of list.split(",")) {
    part += part === "" ? piece : `,${piece}`;
    if (depthOf(part) > 0) continue;
    if (part.trim() !== "") parts.push(part.trim());
    part = "";
  }
  return parts;
}

/** The lines without comments and empty ones; those in brackets are joined. */
function statementsOf(source) {
  const statements = [];
  for (const line of source.split("\n")) {
    const code = line.replace(/--.*$/, "").trim();
    if (code === "") continue;
    if (statements.length > 0 && depthOf(statements.at(-1)) > 0) statements.push(`${statements.pop()} ${code}`);
    else statements.push(code);
  }
  return statements;
}

/** @returns {LuaFunction[]} */
function functionsOf(source) {
  const definitions = source.matchAll(/^local function (\w+)\((.*)\)\n([\s\S]*?)^end$/gm);
  return Array.from(definitions, ([, name, parameters, body]) => {
    const parsed = { name, parameters: split(parameters), lines: statementsOf(body) };
    checkNames(parsed);
    return parsed;
  });
}

/** The names that a function declares itself. */
function declaredIn({ parameters, lines }) {
  return new Set([...parameters, ...declarationsIn(lines)]);
}

/** The names that are declared, each as often as it is. */
function declarationsIn(lines) {
  const lists = lines.flatMap((line) =>
    [...line.matchAll(/\blocal (\w[\w, ]*)|\bfor ([\w, ]+?) (?:=|in)|\bfunction\(([\w, ]*)\)/g)].map(
      ([, locals, loop, inner]) => locals ?? loop ?? inner,
    ),
  );
  return lists.flatMap(split);
}

const functions = new Map();
const CONSTANT = /^[A-Z][A-Z_]*$/;

/** @throws {Error} if a function uses a name that it isn't given */
function checkNames(parsed) {
  const declared = declaredIn(parsed);
  parsed.unchecked = parsed.lines
    .flatMap((line) => namesIn(line.replaceAll(/([{,] *)\w+ = /g, "$1")))
    .filter((name) => !declared.has(name) && !GLOBALS.has(name) && !KEYWORDS.has(name) && !CONSTANT.test(name));
}

const BYTES_OF_BUCKET = 8 * Object.keys(BUCKET).length;
const BYTES_OF_BUCKETS = BYTES_OF_BUCKET * Number(CONSTANTS.BUCKETS_OF_CHUNK);

/** Functions that read and write the parts of the state, a bucket and a lease, in the order that commands.js has. */
function layoutFunctions() {
  const parts = Object.keys(STATE);
  const spans = parts.flatMap((first, from) =>
    parts.slice(from).map((last, length) => ({ first, last, parts: parts.slice(from, from + length + 1) })),
  );
  const ofState = spans.map(({ first, last, parts: covered }) => {
    const span = first === last ? first : `${first}_to_${last}`;
    const fields = covered.flatMap((part) => Object.keys(STATE[part]));
    const list = fields.map((field) => `window.${field}`).join(", ");
    const format = `'<${"d".repeat(fields.length)}'`;
    return `local function unpack_${span}(window, state)
  ${list} = struct.unpack(${format}, state, ${bytesBefore(first) + 1})
end
local function pack_${span}(window)
  return struct.pack(${format}, ${list})
end`;
  });
  const [bucket, lease] = [BUCKET, LEASE].map((fields) => ({
    names: Object.keys(fields).join(", "),
    format: `'<${"d".repeat(Object.keys(fields).length)}'`,
  }));
  return `${ofState.join("\n")}
local function head_to_newest(state)
  return struct.unpack('<${"d".repeat(bytesBefore("suppression") / 8)}', state)
end
local function pack_bucket(${bucket.names})
  return struct.pack(${bucket.format}, ${bucket.names})
end
local function unpack_bucket(buckets, at)
  return struct.unpack(${bucket.format}, buckets, at)
end
local function pack_lease(${lease.names})
  return struct.pack(${lease.format}, ${lease.names})
end
local function unpack_lease(packed)
  return struct.unpack(${lease.format}, packed)
end
`;
}

/** A function that reads an ask of plain takes: the numbers at a place of the text, as DIGITS describes them. */
function plainAskFunction() {
  const { base, zero, counts } = DIGITS;
  const size = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const digits = Array.from({ length: size }, (_, index) => `d${index + 1}`);
  const left = [...digits];
  const numbers = Object.entries(counts).map(([name, count]) => {
    const [first, ...others] = left.splice(0, count);
    const zeros = others.reduce((value) => value * base + zero, zero);
    const value = others.reduce((before, digit) => `(${before}) * ${base} + ${digit}`, first);
    return `  local ${name} = ${value} - ${zeros}\n`;
  });
  return `local function read_plain_ask(plan, place)
  local ${digits.join(", ")} = plan:byte(${size} * place - ${size - 2}, ${size} * place + 1)
${numbers.join("")}  return ${Object.keys(counts).join(", ")}
end
`;
}

function bytesBefore(part) {
  const parts = Object.keys(STATE);
  const before = parts.slice(0, parts.indexOf(part));
  return 8 * before.flatMap((name) => Object.keys(STATE[name])).length;
}

const layoutConstants = Object.fromEntries([
  ["BYTES_OF_BUCKET", String(BYTES_OF_BUCKET)],
  ["BYTES_OF_BUCKETS", String(BYTES_OF_BUCKETS)],
  ["NUMBERS_OF_BUCKETS", String(BYTES_OF_BUCKETS / 8)],
  ["BUCKETS_FORMAT", `'<${"d".repeat(BYTES_OF_BUCKETS / 8)}'`],
  ...Object.keys(BUCKET).map((field, index) => [field.toUpperCase(), String(index + 1)]),
  ...Object.keys(STATE).flatMap((part) => {
    const bytes = bytesBefore(part) + 8 * Object.keys(STATE[part]).length;
    const name = `BYTES_TO_${part.toUpperCase()}`;
    // Redis takes its arguments as text, and to make text of a number costs more than to have it.
    return [
      [name, String(bytes)],
      [`TEXT_${name}`, `'${bytes}'`],
    ];
  }),
]);

/** The fields of a window, in their order where it is a table. */
const WINDOW_FIELDS = [
  ...Object.keys({ ...STATE.head, ...STATE.newest, ...WINDOW }),
  ...Object.keys({ ...STATE.suppression, ...STATE.leases, ...STATE.clock, ...STATE.block }),
];

/** What every command takes besides its own arguments: these before them, and the time after all others. */
const WINDOW_ARGUMENTS = {
  window_ms: { kind: "number", comment: "how long a hit counts" },
  bucket_ms: { kind: "number", comment: "how wide a cell of the time grid is" },
};
export const CLOCK_ARGUMENT = {
  clock_ms: { kind: "optional", comment: "the caller's time; absent for the server's" },
};

/** The arguments of a command in their order, without lists and the caller's time, which follow. */
export function argumentsOfCommand(command) {
  return { ...WINDOW_ARGUMENTS, ...command.arguments };
}

/** What calls of a batch can have in common, in its order. A command with fewer terms has the first of these. */
const TERMS = BATCHED.map((name) => {
  const command = COMMANDS[name];
  return Object.keys(argumentsOfCommand(command)).slice(0, -command.ownOfCall || undefined);
}).reduce((longest, terms) => {
  const [few, many] = [longest, terms].sort((one, other) => one.length - other.length);
  if (few.some((term, index) => many[index] !== term)) throw new Error(`${few} aren't the first of ${many}`);
  return many;
});

/** How Lua reads each argument. */
function readingsOf(command) {
  const args = Object.entries(argumentsOfCommand(command));
  const readings = Object.fromEntries(args.map(([name, { kind }], index) => [name, READ[kind](index + 1)]));
  const { repeated } = command;
  const next = args.length + 1;
  if (repeated === undefined) return { ...readings, clock_ms: `arguments[${next}]` };
  const size = Object.keys(repeated.fields).length;
  const clock = `arguments[${next + 1} + arguments[${next}] * ${size}]`;
  return { ...readings, [`${repeated.name}s`]: READ.number(next), clock_ms: clock };
}

const READ = {
  number: (index) => `(arguments[${index}] + 0)`,
  flag: (index) => `(arguments[${index}] == '1')`,
  text: (index) => `arguments[${index}]`,
  optional: (index) => `arguments[${index}]`,
};

/** What stands for each name in capitals, in a script of this command. */
function constantsOf(command) {
  const constants = { ...CONSTANTS, ...layoutConstants };
  const { repeated } = command;
  if (repeated === undefined) return constants;
  const name = repeated.name.toUpperCase();
  const fields = Object.keys(repeated.fields);
  for (const [index, field] of fields.entries()) constants[`${name}_${field.toUpperCase()}`] = String(index);
  constants[`${name}_SIZE`] = String(fields.length);
  constants[`FIRST_${name}`] = String(Object.keys(argumentsOfCommand(command)).length + 2);
  return constants;
}

/** A call that is a statement of its own. */
function callIn(line) {
  const match = /^(?:(local )?([\w., [\]]+?) = )?(\w+)\((.*)\)$/.exec(line);
  if (match === null || match[3] === "reply") return undefined;
  const [, isLocal, targets = "", name, args] = match;
  return { isLocal: isLocal !== undefined, targets: split(targets), name, args: split(args) };
}

/** @throws {Error} if a function that is called returns from anywhere but its end */
function checkReturns({ name, lines }) {
  const returns = lines.map((line) => /\breturn\b/.test(line.replaceAll(/\bfunction\(.*?\bend\b/g, "")));
  if (returns.slice(0, -1).includes(true)) throw new Error(`${name} must return at its end only`);
}

/** The lines of a function, with all calls in it written out. `callers` names the functions that it is written into. */
function written({ name, lines }, callers = []) {
  if (callers.includes(name)) throw new Error(`${name} calls itself`);
  return lines.flatMap((line) => {
    const call = callIn(line);
    const callee = call === undefined ? undefined : functions.get(call.name);
    for (const part of callee === undefined ? [line] : call.args) {
      const called = namesIn(part).find((used) => functions.has(used) && part.includes(`${used}(`));
      if (called !== undefined) throw new Error(`${name}: a call of ${called} must be a statement: ${line}`);
    }
    return callee === undefined ? [line] : writtenOut(callee, call, [...callers, name]);
  });
}

/** Whether a line gives a variable a value. */
function assigns(line, variable) {
  return new RegExp(`(?<![.:[\\w])${variable}(?:, [^=]*)? = `).test(line);
}

/**
 * The lines of a function without its `return`, and what has to be assigned after them. Where a result is a local of
 * the function, the lines have the variable that it is for in its place, if nothing else there is named like either.
 */
function returningDirectly(lines, parameters, targets) {
  const [, returned = ""] = /^return (.*)$/.exec(lines.at(-1) ?? "") ?? [];
  let body = returned === "" ? lines : lines.slice(0, -1);
  const left = { targets: [], results: [] };
  const results = split(returned);
  for (const [index, target] of targets.entries()) {
    const result = results[index];
    if (result !== undefined && isVariableFor(result, target, body, parameters)) {
      body = body
        .map((line) => line.replace(`local ${result} = `, `${result} = `))
        .map((line) => (line === `local ${result}` ? `${result} = nil` : line))
        .map((line) => replaceNames(line, (name) => (name === result ? target : name)));
    } else {
      left.targets.push(target);
      if (result !== undefined) left.results.push(result);
    }
  }
  return { body, targets: left.targets, result: left.results.join(", ") };
}

/** Whether a local of a function can be the variable that it is returned to. */
function isVariableFor(result, target, body, parameters) {
  const areVariables = [result, target].every((name) => /^[a-z_]\w*$/.test(name));
  const isDeclared = body.some((line) => line === `local ${result}` || line.startsWith(`local ${result} = `));
  if (!areVariables || !isDeclared || parameters.includes(result)) return false;
  const isDeclaredOnce = declarationsIn(body).filter((name) => name === result).length === 1;
  return isDeclaredOnce && (target === result || ![...parameters, ...body.flatMap(namesIn)].includes(target));
}

/** The lines that stand for a call. */
function writtenOut(callee, call, callers) {
  const { isLocal, args } = call;
  checkReturns(callee);
  const { name, parameters } = callee;
  if (args.length !== parameters.length) throw new Error(`${name} is called with ${args.length} arguments`);
  const { body, targets, result } = returningDirectly(written(callee, callers), parameters, call.targets);
  if (targets.length > 0 && result === "") throw new Error(`${name} returns nothing`);
  // A local of the function would hide the variable that a result is for, so it gets another name.
  const declared = declaredIn({ parameters, lines: body });
  const hiding = targets.filter((target) => declared.has(target));
  const renamed = (line) => replaceNames(line, (used) => (hiding.includes(used) ? `${used}_of_${name}` : used));
  const bound = parameters.map((parameter, index) => ({ parameter, arg: args[index] }));
  // A variable of the caller that has the parameter's name and isn't changed needs no copy.
  const isThere = ({ parameter, arg }) =>
    parameter === arg && !hiding.includes(parameter) && !body.some((line) => assigns(line, parameter));
  const values = bound.filter((one) => !RECORDS.includes(one.parameter) && !isThere(one));
  const other = bound.find(({ parameter, arg }) => RECORDS.includes(parameter) && parameter !== arg);
  if (other !== undefined) throw new Error(`${name}: ${other.parameter} must be ${other.parameter}`);
  const names = values.map(({ parameter }) => parameter).join(", ");
  // Where it only returns something, the variables are made of that. To make them first would cost a move for each.
  if (isLocal && body.length + values.length === 0 && hiding.length === 0)
    return [`local ${targets.join(", ")} = ${result}`];
  return [
    ...(isLocal ? [`local ${call.targets.join(", ")}`] : []),
    "do",
    ...(values.length > 0 ? [`${renamed(`local ${names}`)} = ${values.map(({ arg }) => arg).join(", ")}`] : []),
    ...body.map(renamed),
    ...(targets.length > 0 ? [`${targets.join(", ")} = ${renamed(result)}`] : []),
    "end",
  ];
}

/** Puts the fields of a reply in their order. */
function orderReply(line, command, name) {
  return line.replace(/\breply\(\{(.*?)\}\)/, (_, list) => {
    const values = new Map(
      split(list).map((entry) => {
        const [, field, value] = /^(\w+) = (.*)$/.exec(entry) ?? [];
        return [field, value];
      }),
    );
    const fields = Object.keys(command.reply);
    const isWhole = values.size === fields.length && fields.every((field) => values.has(field));
    if (!isWhole) throw new Error(`${name}: replies ${[...values.keys()]}, described are ${fields}`);
    return `{ ${fields.map((field) => values.get(field)).join(", ")} }`;
  });
}

const FIELD_OF_RECORD = /\b(window|keys|arguments|terms|takes)\.(\w+)/g;

/**
 * Replaces the names that commands.js describes.
 *
 * @param isTable whether the window is a table, which can outlive the function, in place of locals
 * @param isTake whether the function is one of a script that decides takes
 */
function bind(lines, name, command, { isTable = false, isTake = isTable } = {}) {
  const constants = constantsOf(command);
  const readings = readingsOf(command);
  const described = {
    window: WINDOW_FIELDS,
    keys: command.keys ?? [],
    arguments: Object.keys(readings),
    terms: TERMS,
    takes: Object.keys(TAKES),
  };
  const used = new Set();
  const bound = lines.map((line) =>
    replaceNames(
      orderReply(line, command, name).replaceAll(FIELD_OF_RECORD, (_, record, field) => {
        const index = described[record].indexOf(field);
        if (index === -1) throw new Error(`${name}: ${record} has no ${field}`);
        if (record === "arguments") return readings[field];
        if (record === "takes") return `takes_${field}`;
        if (record === "terms" && isTake) return `takes_plan[terms + ${index + 1}]`;
        if (record !== "window") return `${record}[${index + 1}]`;
        if (isTable) return `window[${index + 1}]`;
        used.add(field);
        return `window_${field}`;
      }),
      (token) => {
        if (!CONSTANT.test(token)) return token;
        if (constants[token] === undefined) throw new Error(`${name}: there is no ${token}`);
        return token === "EXACT" ? `(${constants[token]})` : constants[token];
      },
    ),
  );
  const fields = described.window.filter((field) => used.has(field));
  // A table that is made with all its places never grows.
  const opening = isTable
    ? `local window = { ${described.window.map(() => "nil").join(", ")} }`
    : `local ${fields.map((field) => `window_${field}`).join(", ")}`;
  const openings = {
    "local window = {}": opening,
    "local takes = {}": `local takes, ${described.takes.map((field) => `takes_${field}`).join(", ")}`,
  };
  return bound.map((line) => openings[line] ?? line);
}

function read(name) {
  return readFileSync(new URL(name, FOLDER), "utf8");
}

function addFunctions(source) {
  for (const parsed of functionsOf(source)) {
    if (functions.has(parsed.name)) throw new Error(`two functions are named ${parsed.name}`);
    functions.set(parsed.name, parsed);
  }
}

addFunctions(layoutFunctions());
addFunctions(plainAskFunction());
for (const name of readdirSync(new URL("lib/", FOLDER)).sort()) addFunctions(read(`lib/${name}`));
for (const name of [...Object.keys(COMMANDS), "batch", "take", "sync_batch", "peek_batch", "limited_keys"])
  addFunctions(read(`${name}.lua`));
for (const { name, unchecked } of functions.values()) {
  const unknown = unchecked.filter((used) => !functions.has(used));
  if (unknown.length > 0) throw new Error(`${name}: what is ${[...new Set(unknown)]}?`);
}

/** A function, written out for a command. */
function packed(name, command, mode) {
  const parsed = functions.get(name);
  const script = [`local function ${name}(${parsed.parameters.join(", ")})`, ...written(parsed), "end"];
  return bind(script, name, command, mode).join("\n");
}

/** The script of a command of commands.js: its function, and the call of it. */
export function packCommand(name) {
  const definition = packed(name, COMMANDS[name]);
  return { definition: FOR_MANY.includes(name) ? joined(definition) : definition, call: `return ${name}(KEYS, ARGV)` };
}

/** Commands that a script also runs for many keys: see run_each in each.lua. */
export const FOR_MANY = ["peek", "sync"];

/** Functions of Redis' libraries that scripts call often. */
const LIBRARY_FUNCTIONS = /\b(redis|math|struct|cmsgpack)\.(p?call|floor|ceil|min|max|pack|unpack)\b(?=\()/g;

/**
 * A script of several functions. It looks the functions of Redis' libraries up once, at its start. To look one up in a
 * global table costs some 30 ns, and a script that decides many calls would do it at each use.
 */
function joined(...parts) {
  const script = parts.join("\n");
  return lookingUp(libraryFunctionsIn(script), script);
}

function libraryFunctionsIn(script) {
  return [...new Set(script.match(LIBRARY_FUNCTIONS))];
}

/** Has a script look these functions up once. */
function lookingUp(names, script) {
  const local = (name) => name.replace(".", "_");
  const calling = script.replaceAll(LIBRARY_FUNCTIONS, (name) => (names.includes(name) ? local(name) : name));
  return `local ${names.map(local).join(", ")} = ${names.join(", ")}\n${calling}`;
}

/** What follows the definition of a command of FOR_MANY in the script that runs it for many keys. */
export function packForMany(name) {
  return `${packed(`${name}_batch`, { arguments: {} })}\nreturn ${name}_batch(KEYS, ARGV)`;
}

/** The script that decides many calls. */
export function packBatch() {
  const deciding = BATCHED.map((name) => packed(`decide_${name}s`, COMMANDS[name]));
  return joined(...deciding, packed("batch", { arguments: {} }), "return batch(KEYS, ARGV)");
}

/** The script that shares which keys are denied. */
export function packLimitedKeys() {
  return `${packed("limited_keys", { arguments: {} })}\nreturn limited_keys(KEYS, ARGV)`;
}

/** The functions of the script that decides takes which stay functions, and whose arguments each is given. */
const TAKE_FUNCTIONS = {
  deny_absolute: COMMANDS.absolute_inc,
  conclude_suppressed: COMMANDS.suppressed_inc,
  ...Object.fromEntries(
    ["undo_ask", "save_windows", "decide_take", "decide_others"].map((name) => [name, { arguments: {} }]),
  ),
};

/** What most takes call. To look up more takes a twentieth of a take of three limits. */
const CALLED_BY_SIMPLE_TAKES = ["redis.call", "struct.unpack", "struct.pack", "math.floor", "math.ceil"];

/**
 * The script that decides takes, which is the body of `take`. `a, b = functions(f, g)` makes the functions there: to
 * make them takes a tenth of a take of three limits, and most scripts don't need them.
 *
 * `decide_from` is a function of its own, which is given the variables of `takes` as parameters. To make a function
 * that shares so many variables with another one takes 10 000 instructions, a tenth of a take of three limits.
 */
export function packTake() {
  const made = Object.entries(TAKE_FUNCTIONS).map(([name, command]) => packed(name, command, { isTable: true }));
  const deciding = packed("decide_takes", { arguments: {} }, { isTake: true });
  const simple = packed("decide_from", COMMANDS.absolute_inc, { isTake: true });
  const shared = [...new Set(simple.match(/\btakes_\w+/g))].join(", ");
  const sharing = (script) => script.replaceAll(/\b(function decide_from|takes_decide_from)\(takes\b/g, `$1(${shared}`);
  const others = made.join("\n");
  const rare = libraryFunctionsIn(others).filter((name) => !CALLED_BY_SIMPLE_TAKES.includes(name));
  const all = [simple, making(deciding, lookingUp(rare, others))].map(sharing).join("\n");
  const script = bind(written(functions.get("take")), "take", { arguments: {} }).join("\n");
  return lookingUp(CALLED_BY_SIMPLE_TAKES, `local keys, arguments = KEYS, ARGV\n${making(script, all)}`);
}

/** Has the functions of `definitions` made where `script` has `a, b = functions(f, g)`. */
function making(script, definitions) {
  return script.replace(/^(.*) = functions\((.*)\)$/m, (_, names, made) => `${definitions}\n${names} = ${made}`);
}

/** JSON with all digits of a number; that of Redis has 14 of them. */
const TO_JSON = `local function to_json(value)
  if type(value) ~= 'table' then return type(value) == 'number' and ('%.17g'):format(value) or tostring(value) end
  local parts = {}
  for i, part in ipairs(value) do parts[i] = to_json(part) end
  return '[' .. table.concat(parts, ',') .. ']'
end`;

/** For tests: a script that calls a function with what a JSON array has, and replies with its first result in JSON. */
export function packFunction(name) {
  const { parameters } = functions.get(name);
  const args = parameters.map((_, index) => `args[${index + 1}]`).join(", ");
  const call = written({ name: "test", lines: [`local result = ${name}(${args})`] });
  const script = bind(call, name, { keys: [], arguments: {} });
  return ["local args = cjson.decode(ARGV[1])", TO_JSON, ...script, "return to_json(result)"].join("\n");
}
