// Puts the playground, which Vite has built as a page of its own, and the index for tools into the built site.

import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const site = join(ROOT, ".build", "site");

cpSync(join(ROOT, ".build", "page"), join(site, "playground"), { recursive: true });

const llms = readFileSync(join(ROOT, "llms.txt"), "utf8");
const pages = llms.replaceAll(/\]\(README\.md/g, "](/").replaceAll(/\]\((docs\/[^)#]+?)(README)?\.md/g, (_, path) => {
  return `](/${path}${path.endsWith("/") ? "" : ".html"}`;
});
writeFileSync(
  join(site, "llms.txt"),
  pages.replaceAll("](CONTRIBUTING.md", "](/CONTRIBUTING.html").replaceAll("](AGENTS.md", "](/AGENTS.md"),
);
cpSync(join(ROOT, "AGENTS.md"), join(site, "AGENTS.md"));
