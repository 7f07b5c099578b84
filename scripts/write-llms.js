// Writes llms.txt, the index of the guide, and AGENTS.md, how to use the package in a page. Both are made of the README
// and the guide, for tools that write programs with the package. `--check` only tells whether they are up to date.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const read = (path) => readFileSync(join(ROOT, path), "utf8");

const readme = read("README.md");
const http = read("docs/http.md");
const { description, exports } = JSON.parse(read("package.json"));

/** The table whose first row begins so. */
function tableOf(text, start) {
  const lines = text.slice(text.indexOf(`\n${start}`) + 1).split("\n");
  if (!lines[0].startsWith(start)) throw new Error(`there is no table that begins with ${start}`);
  return lines
    .slice(
      0,
      lines.findIndex((line) => !line.startsWith("|")),
    )
    .join("\n");
}

/** The first program of a text that has this in it. */
function programOf(text, part) {
  const program = [...text.matchAll(/^```ts\n.*?^```$/gms)].map(([each]) => each).find((each) => each.includes(part));
  if (program === undefined) throw new Error(`there is no program with ${part}`);
  return program;
}

/** Links of a page of docs/, as links from the root. */
function fromRoot(text, page) {
  return text
    .replaceAll("](#", `](${page}#`)
    .replaceAll(/\]\((?!https?:|\.\.\/)([^)]+)\)/g, "](docs/$1)")
    .replaceAll("](../", "](");
}

/** The codes of docs/errors.md, with the first sentence of each. */
function codes() {
  const sections = read("docs/errors.md").split(/^### /m).slice(1);
  return sections.map((section) => {
    const [, cause] = /\*\*Cause\.\*\* (.*?[.:])(\s|$)/s.exec(section);
    return `| \`${section.split("\n", 1)[0]}\` | ${cause.replaceAll(/\s+/g, " ").replace(/:$/, ".")} |`;
  });
}

/** The parts of the package that the tables of imports don't name. */
function others() {
  const named = tableOf(http, "| import | for |");
  const names = Object.keys(exports)
    .map((path) => path.replace(".", "trypema"))
    .filter(
      (name) => !/^trypema(\/(redis|hybrid|testing|package\.json))?$/.test(name) && !named.includes(`\`${name}\``),
    );
  return `Also: ${names.map((name) => `\`${name}\``).join(", ")}; see [the API reference](docs/api.md).`;
}

const chapters = fromRoot(read("docs/README.md"), "README.md")
  .split("## Chapters\n")[1]
  .replaceAll(/^(\w+):$/gm, "## $1")
  .replaceAll(/\n {2,}/g, " ")
  .trim();

const llms = `# trypema

> ${description} Three providers (Local, Redis, Hybrid) and two strategies (absolute, suppressed), with limits for HTTP.

The whole guide is in the package, under node_modules/trypema/docs. How to use it in a page: [AGENTS.md](AGENTS.md).

## Start

- [README](README.md): what it is and how to begin
- [API reference](docs/api.md): every export, with its types

${chapters}
`;

const agents = `# Using trypema

How to write a program that uses the package \`trypema\`. (To change trypema itself, read CONTRIBUTING.md.) The guide in
\`node_modules/trypema/docs\` explains everything here; [llms.txt](llms.txt) is its index.

## Rules

- **Make one provider for the program and keep it.** It holds the counts. A provider that is made in each request limits nothing.
- **Look at \`decision.allowed\`.** A denial is a value and never an exception. Under \`suppressed\` the outcome
  \`"suppressed"\` may be admitted or denied.
- **A rate is made by a function**: \`perSecond(5)\`, \`perMinute(100)\`. It is given with each call. There is no \`points\`,
  \`max\` or \`duration\` option. In \`createLimits\` and in limits for HTTP, a limit is \`{ limit: 100, windowMs: minutes(15) }\`.
- **The window belongs to the provider** (\`windowMs\`, 60 000 by default). \`provider.withWindow({ windowMs })\` gives another.
- **Local answers at once. Redis answers with promises. Hybrid does either**, so \`await\` each call of Redis and Hybrid.
- **For several limits of one call use \`createLimits\`**, not several calls of \`inc\`: a call that one limit denies must not use up the others.
- **For HTTP use the adapter of the framework**, not \`inc\` in a handler. Behind a proxy, say so:
  \`key: clientAddress({ proxies: 1 })\`. Never read \`X-Forwarded-For\` yourself.
- **On Redis, choose \`onFailure\`**: \`"local"\` for nearly everything, \`"deny"\` for logins and money.
- **Try a new limit for HTTP with \`shadow: true\`** first: it reports and denies nobody.
- **In tests** use \`manualClock()\`, \`seededRandom()\` and \`createFakeRedisProvider()\` from \`trypema/testing\`, and no real waiting.
- \`retryAfterMs\` is Infinity when no wait would help. Then send no \`Retry-After\`.

## Imports

| import | exports |
|---|---|
| \`trypema\` | \`createLocalProvider\`, \`createLimits\`, \`perSecond\` … \`perWeek\`, \`unlimited\`, \`seconds\` … \`days\`, \`TrypemaError\` |
| \`trypema/redis\` | \`createRedisProvider(client, options)\` |
| \`trypema/hybrid\` | \`createHybridProvider(client, options)\` |
| \`trypema/testing\` | \`manualClock\`, \`seededRandom\`, \`createFakeRedisProvider\` |

${fromRoot(tableOf(http, "| import | for |"), "http.md")}

${others()}

## Limit HTTP requests

${programOf(readme, "trypema/express")}

${fromRoot(tableOf(http, "| option | default | |"), "http.md")}

## Decide by hand

${programOf(readme, "suppressed.inc(tenant")}

${tableOf(readme, "| field | says |")}

${tableOf(readme, "| method | does |")}

${tableOf(readme, "| option | default | |")}

## Several limits

${programOf(readme, "createLimits(createLocalProvider()")}

## Share a limit over processes

${programOf(readme, "createRedisProvider(client")}

\`createHybridProvider(client, options)\` takes the same client and options, and decides in the process.

## Errors

| code | cause |
|---|---|
${codes().join("\n")}

Fixes: [docs/errors.md](docs/errors.md).
`;

for (const [path, text] of [
  ["llms.txt", llms],
  ["AGENTS.md", agents],
]) {
  if (!process.argv.includes("--check")) {
    writeFileSync(join(ROOT, path), text);
  } else if (read(path) !== text) {
    console.error(`${path} is not what the guide says: run npm run docs:llms`);
    process.exitCode = 1;
  }
}
