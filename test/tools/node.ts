// `require` and `import` in each version of Node.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { install, RUNTIMES } from "../runtimes/install.ts";
import { ROOT } from "../support/process.ts";
import { type Check, expectText, type Tool } from "./check.ts";
import { BOTH_PROGRAM, FORMS, LOCAL_OUTPUT, localProgram } from "./programs.ts";
import type { Project } from "./project.ts";

/** Where `npm run test:runtimes` has them too. */
const RUNTIMES_FOLDER = join(ROOT, ".build", "runtimes");

function checks(project: Project): readonly Check[] {
  project.write("import.mjs", localProgram("import"));
  project.write("require.cjs", localProgram("require"));
  project.write("both.mjs", BOTH_PROGRAM);
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  // Each of these also has to print no warning.
  return RUNTIMES.filter((runtime) => runtime.program === "node").flatMap((runtime) => {
    const run = async (program: string, args: readonly string[] = []) =>
      project.run(program, args, { node: await install(runtime, RUNTIMES_FOLDER) });
    return [
      ...FORMS.map((form) => ({
        name: `${runtime.name}: ${form}`,
        run: async () => expectText(await run(form === "import" ? "import.mjs" : "require.cjs"), LOCAL_OUTPUT),
      })),
      {
        name: `${runtime.name}: import and require in one program get one copy`,
        run: async () => expectText(await run("both.mjs"), "one copy"),
      },
      {
        name: `${runtime.name}: npx trypema`,
        run: async () => expectText(await run("node_modules/trypema/dist/cli/main.js", ["--version"]), version),
      },
    ];
  });
}

export const NODE: Tool = { name: "node", dependencies: {}, checks };
