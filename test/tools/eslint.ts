// eslint-plugin-import, whose resolver doesn't read `exports`.

import type { Check, Tool } from "./check.ts";
import { ENTRIES } from "./programs.ts";
import type { Project } from "./project.ts";

const CONFIG = `import plugin from "eslint-plugin-import";
export default [
  { ...plugin.flatConfigs.recommended, files: ["imported.mjs"] },
  {
    files: ["required.cjs"],
    languageOptions: { sourceType: "commonjs" },
    plugins: { import: plugin },
    rules: { "import/no-unresolved": ["error", { commonjs: true }] },
  },
];
`;

/** What the resolver has to miss, so that a rule that is off isn't taken for one that is content. */
const ABSENT = "trypema/absent";

async function lint(project: Project, file: string, lineOf: (entry: string) => string): Promise<void> {
  project.write("eslint.config.mjs", CONFIG);
  project.write(file, `${[...ENTRIES, ABSENT].map(lineOf).join("\n")}\n`);
  const printed = await project
    .run("node_modules/eslint/bin/eslint.js", ["--format", "json", file])
    .catch((error: Error) => error.message);
  const [{ messages }] = JSON.parse(printed);
  const texts: string[] = messages.map(({ message }: { message: string }) => message);
  const [first = "", ...others] = texts;
  if (others.length > 0 || !first.includes(ABSENT)) throw new Error(texts.join("\n") || "it misses nothing");
}

function checks(project: Project): readonly Check[] {
  return [
    {
      name: "eslint-plugin-import finds each entry that is imported",
      run: () => lint(project, "imported.mjs", (entry) => `import "${entry}";`),
    },
    {
      name: "eslint-plugin-import finds each entry that is required",
      run: () => lint(project, "required.cjs", (entry) => `require("${entry}");`),
    },
  ];
}

export const ESLINT: Tool = {
  name: "eslint",
  dependencies: { eslint: "9.39.1", "eslint-plugin-import": "2.32.0" },
  checks,
};
