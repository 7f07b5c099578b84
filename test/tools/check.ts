import type { Project } from "./project.ts";

/** A promise about a tool, which throws when it isn't kept. */
export interface Check {
  readonly name: string;
  run(): Promise<unknown>;
}

/** A tool, or some that share a project. */
export interface Tool {
  readonly name: string;
  /** What the project needs besides the package: names with exact versions. */
  readonly dependencies: Record<string, string>;
  checks(project: Project): readonly Check[];
}

/** @throws when a program printed something else than what it has to. */
export function expectText(got: string, expected: string): void {
  if (got.trim() !== expected) throw new Error(`expected ${JSON.stringify(expected)}, got: ${got.trim()}`);
}
