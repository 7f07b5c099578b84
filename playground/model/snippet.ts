import type { Settings } from "./settings.ts";

/** The program that limits as the settings say. */
export function snippetOf(settings: Settings): string {
  return settings.secondLimit > 0 ? snippetOfTwo(settings) : snippetOfOne(settings);
}

function snippetOfTwo(settings: Settings): string {
  const { ratePerSecond, windowMs, bucketMs, hardLimitFactor, secondLimit, secondWindowMs } = settings;
  // Of two strategies side by side the program has the first one.
  const isSuppressed = settings.strategy === "suppressed";
  const strategy = isSuppressed ? `, strategy: "suppressed", hardLimitFactor: ${hardLimitFactor}` : "";
  const window = `windowMs: ${grouped(windowMs)}, bucketMs: ${grouped(bucketMs)}`;
  return `import { createLimits, createLocalProvider, perSecond } from "trypema";

const limits = createLimits(createLocalProvider(), {
  first: { rate: perSecond(${grouped(ratePerSecond)}), ${window}${strategy} },
  second: { limit: ${grouped(secondLimit)}, windowMs: ${grouped(secondWindowMs)} },
});

const taken = limits.take(${JSON.stringify(keyTextOf(settings))});
if (!taken.allowed) console.log(\`\${taken.deniedBy}: retry in \${Math.ceil(taken.retryAfterMs)} ms\`);
`;
}

function snippetOfOne(settings: Settings): string {
  const { ratePerSecond, windowMs, bucketMs, hardLimitFactor } = settings;
  const strategies = settings.strategy === "both" ? (["absolute", "suppressed"] as const) : [settings.strategy];
  const options = [`windowMs: ${grouped(windowMs)}`, `bucketMs: ${grouped(bucketMs)}`];
  if (strategies.includes("suppressed")) options.push(`hardLimitFactor: ${hardLimitFactor}`);
  const key = keyTextOf(settings);
  const calls = strategies.map((strategy) => {
    const name = strategies.length === 1 ? "decision" : strategy;
    return `const ${name} = provider.${strategy}.inc(${JSON.stringify(key)}, rate);
if (!${name}.allowed) console.log(\`${strategy}: retry in \${Math.ceil(${name}.retryAfterMs)} ms\`);`;
  });
  return `import { createLocalProvider, perSecond } from "trypema";

const provider = createLocalProvider({ ${options.join(", ")} });
const rate = perSecond(${grouped(ratePerSecond)});

${calls.join("\n\n")}
`;
}

function keyTextOf({ limit }: Settings): string {
  return limit === "each" ? "the client's name" : "everybody";
}

/** 60000 as 60_000. */
function grouped(value: number): string {
  return Number.isInteger(value) ? String(value).replaceAll(/(?<=\d)(?=(\d{3})+$)/g, "_") : String(value);
}
