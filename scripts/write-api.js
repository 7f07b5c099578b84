// Writes docs/api.md from the docstrings of what the package exports, as the built declarations have them. What
// has no docstring is an error. `--check` only tells whether the file is what this would write.
//
// TypeScript 7 has no API for programs yet, so this uses that of 5, which is a dependency for nothing else.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript-5";

const root = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const entries = Object.entries(manifest.exports)
  .filter(([, target]) => target.types !== undefined)
  .map(([path, target]) => ({ name: `trypema${path.slice(1)}`, file: join(root, target.types) }));

const program = ts.createProgram(
  entries.map(({ file }) => file),
  { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ESNext, strict: true, types: [], skipLibCheck: true },
);
const checker = program.getTypeChecker();
const undocumented = [];

function exportsOf({ file }) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(file));
  const symbols = checker.getExportsOfModule(module).map((symbol) => {
    return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  });
  // Functions first: they are what one begins with.
  const rank = (symbol) => (symbol.flags & ts.SymbolFlags.Function ? 0 : 1);
  return symbols.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

const exported = new Map(entries.map((entry) => [entry.name, exportsOf(entry)]));

/** The text of a comment, with links to what is on the page. */
function textOf(parts) {
  const text = (parts ?? [])
    .map((part) =>
      part.kind === "linkName" || part.kind === "linkText"
        ? `\`${part.text.trim()}\``
        : part.kind === "link"
          ? ""
          : part.text,
    )
    .join("");
  return text.replaceAll(/\s*\n\s*/g, " ").trim();
}

function docOf(symbol, owner) {
  const text = textOf(symbol.getDocumentationComment(checker));
  if (text === "") undocumented.push(owner === undefined ? symbol.name : `${owner}.${symbol.name}`);
  return text;
}

function tagsOf(symbol) {
  const tags = symbol.getJsDocTags(checker);
  const lines = [];
  for (const { name, text } of tags) {
    if (name === "param") {
      const [parameter] = text;
      lines.push(`- \`${parameter.text}\`: ${textOf(text.slice(1)).replace(/^-?\s*/, "")}`);
    }
    if (name === "returns") lines.push(`- returns ${textOf(text)}`);
    if (name === "throws") lines.push(`- throws ${textOf(text).replace(/^\{([^}]*)\}\s*/, "`$1` ")}`);
  }
  const example = tags.find(({ name }) => name === "example");
  if (example !== undefined) lines.push("", exampleOf(example.text.map(({ text }) => text).join("")));
  return lines.join("\n");
}

/** The example as a program: with the imports that it leaves out. */
function exampleOf(code) {
  const uses = (name) => new RegExp(`\\b${name}\\b`).test(code);
  const imports = uses("Redis") ? ['import { Redis } from "ioredis";'] : [];
  for (const [module, symbols] of exported) {
    const names = symbols
      .filter(({ name, flags }) => flags & ts.SymbolFlags.Value && uses(name))
      .map(({ name }) => name);
    if (names.length > 0) imports.push(`import { ${names.join(", ")} } from "${module}";`);
  }
  return `\`\`\`ts\n${imports.join("\n")}\n\n${code.trim()}\n\`\`\``;
}

function signatureOf(name, signature) {
  const flags = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.WriteArrowStyleSignature;
  return `${name}${checker
    .signatureToString(signature, undefined, flags)
    .replace(/ => (?!.* => )/, ": ")
    .replaceAll(" | undefined", "")}`;
}

function memberOf(symbol, owner) {
  const declaration = symbol.declarations[0];
  const type = checker.getTypeOfSymbolAtLocation(symbol, declaration);
  const [call] =
    ts.isMethodDeclaration(declaration) || ts.isMethodSignature(declaration) ? type.getCallSignatures() : [];
  const optional = symbol.flags & ts.SymbolFlags.Optional ? "?" : "";
  const written = declaration.type?.getText() ?? checker.typeToString(type);
  const head = call === undefined ? `${symbol.name}${optional}: ${written}` : signatureOf(symbol.name, call);
  // What a class only inherits from what it implements is told there.
  const inherited = ts.isClassDeclaration(declaration.parent) && ts.getJSDocCommentsAndTags(declaration).length === 0;
  if (inherited && docOf(symbol, owner) !== "") return `**\`${head}\`**`;
  const tags = tagsOf(symbol);
  return `**\`${head}\`** ${docOf(symbol, owner)}${tags === "" ? "" : `\n\n${tags}`}`;
}

/** Members that users see: of our own declarations, and not inherited from what has a section of its own. */
function membersOf(symbol) {
  const type = checker.getDeclaredTypeOfSymbol(symbol);
  return checker.getPropertiesOfType(type).filter((member) => {
    const [declaration] = member.declarations ?? [];
    if (declaration === undefined || program.isSourceFileDefaultLibrary(declaration.getSourceFile())) return false;
    if (ts.isPrivateIdentifier(declaration.name)) return false;
    if (ts.getCombinedModifierFlags(declaration) & (ts.ModifierFlags.Protected | ts.ModifierFlags.Private))
      return false;
    const home = declaration.parent.name?.text;
    return home === symbol.name || ![...exported.values()].flat().some(({ name }) => name === home);
  });
}

function parentsOf(symbol) {
  const clauses = symbol.declarations.flatMap((declaration) => declaration.heritageClauses ?? []);
  const names = clauses.flatMap((clause) => clause.types.map((type) => type.getText()));
  return names.length === 0 ? "" : ` extends \`${names.join("`, `")}\``;
}

function sectionOf(symbol) {
  const lines = [`### ${symbol.name}`, ""];
  const [declaration] = symbol.declarations;
  if (symbol.flags & ts.SymbolFlags.Function) {
    const [signature] = checker.getTypeOfSymbol(symbol).getCallSignatures();
    lines.push(`**\`${signatureOf(symbol.name, signature)}\`**`, "", docOf(symbol), "", tagsOf(symbol));
  } else if (ts.isTypeAliasDeclaration(declaration)) {
    const written = declaration.type.getText().replaceAll(/\s+/g, " ").replace(/^\| /, "");
    const parameters = declaration.typeParameters?.map((parameter) => parameter.getText()).join(", ");
    const name = parameters === undefined ? symbol.name : `${symbol.name}<${parameters}>`;
    lines.push(`**\`type ${name} = ${written}\`**`, "", docOf(symbol), "", tagsOf(symbol));
  } else {
    const kind = ts.isClassDeclaration(declaration) ? "class" : "interface";
    lines.push(`${kind}${parentsOf(symbol)}`, "", docOf(symbol), "", tagsOf(symbol), "");
    for (const member of membersOf(symbol)) lines.push(memberOf(member, symbol.name), "");
  }
  return lines
    .join("\n")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trim();
}

const seen = new Set();
const parts = [...exported].map(([module, symbols]) => {
  const fresh = symbols.filter((symbol) => !seen.has(symbol));
  for (const symbol of fresh) seen.add(symbol);
  return `## ${module}\n\n${fresh.map(sectionOf).join("\n\n")}`;
});
const text = `# API reference

<!-- Written by scripts/write-api.js from the docstrings: change them, and run npm run docs:api. -->

Times are in milliseconds. [The guide](README.md) says what to take when.

${parts.join("\n\n")}
`;

const target = join(root, "docs", "api.md");
if (undocumented.length > 0) {
  console.error(`exported without a docstring: ${undocumented.join(", ")}`);
  process.exitCode = 1;
} else if (!process.argv.includes("--check")) {
  writeFileSync(target, text);
} else if (readFileSync(target, "utf8") !== text) {
  console.error("docs/api.md is not what the docstrings say: run npm run docs:api");
  process.exitCode = 1;
}
