// The pages of docs/frameworks show the very files that `npm run test:frameworks` runs.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "./support/process.ts";

const PAGES = join(ROOT, "docs", "frameworks");
const PROJECTS = join(ROOT, "test", "frameworks");

const pages = readdirSync(PAGES)
  .filter((file) => file !== "README.md")
  .map((file) => file.replace(/\.md$/, ""));
const projects = readdirSync(PROJECTS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** The code blocks of a page, but for those of a shell, of data and of what is printed. */
function recipesOf(page: string): string[] {
  const text = readFileSync(join(PAGES, `${page}.md`), "utf8");
  const blocks = [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)];
  return blocks
    .filter(([, language]) => !["", "sh", "json", "http", "text"].includes(language!))
    .map(([, , code]) => code!);
}

/** Each recipe begins with a comment that has the path of its file. */
function pathOf(code: string): string {
  const path = /^(?:---\n)?(?:\/\/|#|<!--) (\S+)/.exec(code)?.[1];
  if (path === undefined) throw new Error(`no comment with the file's path at the beginning of:\n${code}`);
  return path;
}

describe("a page of docs/frameworks", () => {
  it.each(projects)("is there for the project %s", (project) => expect(pages).toContain(project));

  it.each(pages)("shows the files that are run: %s", (page) => {
    const recipes = recipesOf(page);
    expect(recipes.length).toBeGreaterThan(0);
    for (const code of recipes) expect(code).toBe(readFileSync(join(PROJECTS, page, pathOf(code)), "utf8"));
  });

  it.each(pages)("has a test: %s", (page) => {
    for (const file of ["package.json", "test.ts"]) expect(existsSync(join(PROJECTS, page, file)), file).toBe(true);
  });

  it.each(pages)("has the same parts as all: %s", (page) => {
    const headings = readFileSync(join(PAGES, `${page}.md`), "utf8").match(/^## .*$/gm);
    expect(headings).toEqual(["## Install", "## Paste", "## Try it", "## What to know"]);
  });

  it.each(pages)("is in the index: %s", (page) => {
    expect(readFileSync(join(PAGES, "README.md"), "utf8")).toContain(`](${page}.md)`);
  });
});

describe("a project of test/frameworks", () => {
  it.each(projects)("names exact versions: %s", (project) => {
    const read = (...path: string[]) => JSON.parse(readFileSync(join(PROJECTS, project, ...path), "utf8"));
    const versions = join(PROJECTS, project, "versions");
    const others = existsSync(versions) ? readdirSync(versions).map((file) => read("versions", file)) : [];
    for (const dependencies of [read("package.json").dependencies, ...others]) {
      expect(
        Object.values(dependencies).filter((version) => !/^(npm:.+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(`${version}`)),
      ).toEqual([]);
    }
  });
});
