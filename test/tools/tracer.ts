// The tracer of Next and of hosts of functions, which finds the files of a program that have to be deployed.

import { type Check, expectText, type Tool } from "./check.ts";
import { ENTRIES, FORMS, type Form, LOCAL_OUTPUT, localProgram } from "./programs.ts";
import type { Project } from "./project.ts";

/** Copies what the program of its argument needs into a folder, which has nothing else. */
const DEPLOY = `import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { nodeFileTrace } from "@vercel/nft";
const [program] = process.argv.slice(2);
const { fileList } = await nodeFileTrace([program]);
rmSync("deployed", { recursive: true, force: true });
for (const file of fileList) cpSync(file, join("deployed", file));
`;

function checks(project: Project): readonly Check[] {
  const deployAndRun = async (form: Form) => {
    const program = form === "import" ? "import.mjs" : "require.cjs";
    const more = ENTRIES.map((entry) => (form === "import" ? `import "${entry}";` : `require("${entry}");`));
    project.write(program, `${localProgram(form)}${more.join("\n")}`);
    project.write("deploy.mjs", DEPLOY);
    await project.run("deploy.mjs", [program]);
    expectText(await project.run(`deployed/${program}`), LOCAL_OUTPUT);
  };
  return FORMS.map((form) => ({
    name: `@vercel/nft finds the files of a program that uses ${form}`,
    run: () => deployAndRun(form),
  }));
}

export const TRACER: Tool = { name: "tracer", dependencies: { "@vercel/nft": "1.11.5" }, checks };
