/** The anchor that GitHub makes of a heading. The site makes the same, so a link with an anchor works at both. */
export function slugOf(heading) {
  return heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
    .replaceAll(" ", "-");
}

/** The anchors of all headings of a Markdown text. */
export function anchorsOf(markdown) {
  const prose = markdown.replaceAll(/^```.*?^```/gms, "");
  return [...prose.matchAll(/^#{1,6} (.+)$/gm)].map((match) => slugOf(match[1]));
}
