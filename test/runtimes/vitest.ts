// What stands in for "vitest" in the bundle that other runtimes run: its own runner and its own expect, which
// need nothing of Node.

import { ChaiStyleAssertions, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from "@vitest/expect";
import { type File, startTests, type Task } from "@vitest/runner";
import * as chai from "chai";

export { afterAll, afterEach, beforeAll, beforeEach, describe, it } from "@vitest/runner";

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers, ChaiStyleAssertions]) chai.use(plugin);

export const expect = chai.expect;

export interface Summary {
  readonly passed: number;
  /** The names of the tests that failed, each with its message. */
  readonly failed: readonly string[];
}

/** Runs the tests that `declare` declares. */
export async function runTests(declare: () => unknown): Promise<Summary> {
  const files = await startTests(["suite"], {
    importFile: declare,
    config: {
      root: "/",
      setupFiles: [],
      name: undefined,
      passWithNoTests: false,
      testNamePattern: undefined,
      allowOnly: false,
      sequence: { seed: 1, hooks: "stack", setupFiles: "list" },
      chaiConfig: undefined,
      maxConcurrency: 1,
      testTimeout: 10_000,
      hookTimeout: 10_000,
      retry: 0,
      includeTaskLocation: false,
      tags: [],
      tagsFilter: undefined,
      strictTags: false,
    },
  });
  return summaryOf(files);
}

function summaryOf(files: readonly File[]): Summary {
  let passed = 0;
  const failed: string[] = [];
  const visit = (task: Task, path: string) => {
    const name = path === "" ? task.name : `${path} > ${task.name}`;
    const { state, errors = [] } = task.result ?? {};
    if (task.type === "test" && state === "pass") passed++;
    else if (task.type === "test" && errors.length === 0) failed.push(`${name}: it was not run`);
    for (const error of errors) failed.push(`${name}: ${error.message}`);
    if ("tasks" in task) for (const child of task.tasks) visit(child, name);
  };
  for (const file of files) for (const task of file.tasks) visit(task, "");
  for (const file of files) for (const error of file.result?.errors ?? []) failed.push(error.message);
  return { passed, failed };
}
