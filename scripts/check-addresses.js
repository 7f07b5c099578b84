// Refuses to publish while the manifest doesn't say where the project lives. `package.json` is the one place for these
// addresses. npm's page needs `repository` for README's relative links and pictures: it looks for them there.

import { readFileSync } from "node:fs";

const file = process.argv[2] ?? new URL("../package.json", import.meta.url);
const { repository, homepage, bugs } = JSON.parse(readFileSync(file, "utf8"));

const wanted = [
  ["repository", repository?.url, /^git\+https:\/\/.+\/.+\/.+\.git$/, '{ "type": "git", "url": "git+https://….git" }'],
  ["homepage", homepage, /^https:\/\/.+/, '"https://…", the page of the site that npm run docs makes'],
  ["bugs", bugs?.url, /^https:\/\/.+/, '{ "url": "https://…/issues" }'],
];
for (const [field, value, form, expected] of wanted) {
  if (typeof value === "string" && form.test(value)) continue;
  console.error(`package.json has no ${field} to publish with: got ${JSON.stringify(value)}, expected ${expected}`);
  process.exitCode = 1;
}
