import type { Settings } from "./settings.ts";

/** The program that limits as the settings say. */
export function snippetOf(settings: Settings): string {
  const { ratePerSecond, windowMs, bucketMs, hardLimitFactor } = settings;
  const strategies = settings.strategy === "both" ? (["absolute", "suppressed"] as const) : [settings.strategy];
  const options = [`windowMs: ${grouped(windowMs)}`, `bucketMs: ${grouped(bucketMs)}`];
  if (strategies.includes("suppressed")) options.push(`hardLimitFactor: ${hardLimitFactor}`);
  const key = settings.limit === "each" ? "the client's name" : "everybody";
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

/** 60000 as 60_000. */
function grouped(value: number): string {
  return Number.isInteger(value) ? String(value).replaceAll(/(?<=\d)(?=(\d{3})+$)/g, "_") : String(value);
}
