// The site: the README, the guide and the playground as pages. Its source is the repository itself, so that every
// relative link works here as it does there. `npm run docs` builds it into .build/site.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DefaultTheme, defineConfig } from "vitepress";
import { slugOf } from "../../scripts/slug.js";

const ROOT = join(import.meta.dirname, "..", "..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const { description, repository } = JSON.parse(read("package.json"));
const home: string | undefined = repository?.url.replace(/^git\+/, "").replace(/\.git$/, "");

/** The pages that the sidebar lists, as the index of the guide groups them. */
function sidebarOf(index: string): DefaultTheme.SidebarItem[] {
  const groups = index
    .split("## Chapters\n")[1]!
    .split(/^(\w[\w ]*):$/m)
    .slice(1);
  const items: DefaultTheme.SidebarItem[] = [];
  for (let i = 0; i < groups.length; i += 2) {
    const links = [...groups[i + 1]!.matchAll(/^- \[([^\]]+)\]\(([^)]+)\)/gm)].map(([, text, link]) => ({
      text: text!,
      link: linkOf(join("docs", link!)),
    }));
    items.push({ text: groups[i]!, items: links });
  }
  return items;
}

/** Each file of docs/frameworks has its place in the sidebar by being there. */
function frameworks(): DefaultTheme.SidebarItem[] {
  const files = readdirSync(join(ROOT, "docs", "frameworks")).filter((file) => file.endsWith(".md"));
  return files.sort().map((file) => {
    const path = join("docs", "frameworks", file);
    const title = /^# (.+)$/m.exec(read(path))![1]!;
    return { text: file === "README.md" ? "All recipes" : title, link: linkOf(path) };
  });
}

/** The address of a page in the site. */
function linkOf(path: string): string {
  return `/${path.replace(/(^|\/)README\.md$/, "$1").replace(/\.md$/, "")}`;
}

/** Where a link of a page goes to in the site. What is no page, such as a source, is only in the repository. */
function inSite(href: string, page: string): string | undefined {
  if (/^(\w+:|#|\/)/.test(href)) return href;
  const [path, anchor] = href.split("#") as [string, string?];
  const target = join(page, "..", path);
  if (/\.md$/.test(path)) return `${linkOf(target)}${anchor === undefined ? "" : `#${anchor}`}`;
  return home === undefined ? undefined : `${home}/blob/HEAD/${target}`;
}

export default defineConfig({
  title: "trypema",
  description,
  lang: "en",
  srcDir: "../",
  srcExclude: ["AGENTS.md", "{.build,.ci,.github,bench,dist,playground,site,src,test}/**"],
  outDir: "../.build/site",
  cacheDir: "../.build/site-cache",
  rewrites: { "README.md": "index.md", ":path(.*)/README.md": ":path/index.md" },
  cleanUrls: false,
  head: [["link", { rel: "icon", href: "/icon.svg" }]],
  markdown: {
    anchor: { slugify: slugOf },
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
    config(md) {
      // The corner of a table may be empty, but no heading of a column may be.
      md.core.ruler.push("corners", ({ tokens }) => {
        for (const [at, token] of tokens.entries()) {
          if (token.type !== "th_open" || tokens[at + 1]!.content !== "") continue;
          for (const each of [token, tokens[at + 2]!]) each.tag = "td";
        }
      });
      md.core.ruler.push("links", (state) => {
        const page: string = state.env.relativePath === "index.md" ? "README.md" : state.env.relativePath;
        for (const { children } of state.tokens) {
          for (const [at, token] of (children ?? []).entries()) {
            if (token.type !== "link_open") continue;
            const href = inSite(token.attrGet("href") ?? "", page);
            if (href !== undefined) token.attrSet("href", href);
            else withoutLink(children!, at);
          }
        }
      });
    },
  },
  vite: { publicDir: join(import.meta.dirname, "..", "public"), build: { chunkSizeWarningLimit: 2_000 } },
  themeConfig: {
    nav: [
      { text: "Guide", link: "/docs/" },
      { text: "Frameworks", link: "/docs/frameworks/" },
      { text: "API", link: "/docs/api" },
      { text: "Playground", link: "/playground/index.html", target: "_self" },
    ],
    sidebar: [
      {
        text: "Start",
        items: [
          { text: "What it is", link: "/" },
          { text: "Quick start", link: "/docs/" },
          { text: "Examples", link: "/examples/" },
        ],
      },
      ...sidebarOf(read("docs/README.md")),
      { text: "Frameworks", items: frameworks() },
    ],
    outline: [2, 3],
    search: { provider: "local" },
    ...(home === undefined ? {} : { socialLinks: [{ icon: "github", link: home }] }),
  },
});

/** Takes a link's brackets away, and leaves its text. */
function withoutLink(tokens: { type: string; tag: string; nesting: number }[], at: number): void {
  const end = tokens.findIndex((token, index) => index > at && token.type === "link_close");
  for (const token of [tokens[at]!, tokens[end]!])
    Object.assign(token, { type: "text", tag: "", nesting: 0, content: "" });
}
