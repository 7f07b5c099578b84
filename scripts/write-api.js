// Writes docs/api.md from the docstrings of what the package exports, as the built declarations have them. What
// has no docstring is an error. Types and signatures are as they are written there. `--check` only tells whether the
// file is what this would write. A folder among the arguments is that of another package, for the test.
//
// TypeScript 7 has no API for programs yet, so this uses that of 5, which is a dependency for nothing else.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript-5";

const folder = process.argv.slice(2).find((argument) => !argument.startsWith("--"));
const root = folder ?? fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const entries = Object.entries(manifest.exports)
  .filter(([, target]) => target.default !== undefined)
  .map(([path, target]) => ({
    name: `trypema${path.slice(1)}`,
    file: join(root, target.default.replace(/\.js$/, ".d.ts")),
  }));

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
  // A line of a list stays one.
  return text
    .replaceAll(/\s*\n\s*(?!- )/g, " ")
    .replaceAll(/\s*\n\s*/g, "\n")
    .trim();
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

/** What the declarations say, on one line. */
function written(node) {
  return node.getText().replaceAll(/\s+/g, " ");
}

function typed(name, { type }) {
  return type === undefined ? name : `${name}: ${written(type)}`;
}

function generic(name, { typeParameters = [] }) {
  return typeParameters.length === 0 ? name : `${name}<${typeParameters.map(written).join(", ")}>`;
}

function signatureOf(name, declaration) {
  return typed(`${generic(name, declaration)}(${declaration.parameters.map(written).join(", ")})`, declaration);
}

function headOf(symbol, declaration) {
  const name = `${declaration.name?.getText()}${symbol.flags & ts.SymbolFlags.Optional ? "?" : ""}`;
  if (ts.isConstructorDeclaration(declaration)) return signatureOf("new ", declaration);
  if (ts.isCallSignatureDeclaration(declaration)) return signatureOf("", declaration);
  if (ts.isIndexSignatureDeclaration(declaration)) return written(declaration).replace(/;$/, "");
  if (ts.isMethodDeclaration(declaration) || ts.isMethodSignature(declaration)) return signatureOf(name, declaration);
  const isReadonly = ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Readonly;
  return `${isReadonly ? "readonly " : ""}${typed(name, declaration)}`;
}

function memberOf(symbol, owner) {
  const [declaration] = symbol.declarations;
  const head = symbol.declarations.map((overload) => headOf(symbol, overload)).join("`**<br>**`");
  // What a class only inherits from what it implements is told there.
  const inherited = ts.isClassDeclaration(declaration.parent) && ts.getJSDocCommentsAndTags(declaration).length === 0;
  if (inherited && docOf(symbol, owner) !== "") return `**\`${head}\`**`;
  const tags = tagsOf(symbol);
  return `**\`${head}\`** ${docOf(symbol, owner)}${tags === "" ? "" : `\n\n${tags}`}`;
}

/** Members that users see: of our own declarations, and not inherited from what has a section of its own. */
function membersOf(symbol) {
  const type = checker.getDeclaredTypeOfSymbol(symbol);
  const unnamed = ["__constructor", "__call", "__index"].flatMap((name) => symbol.members.get(name) ?? []);
  const named = checker.getPropertiesOfType(type).filter((member) => {
    const [declaration] = member.declarations ?? [];
    if (declaration === undefined || program.isSourceFileDefaultLibrary(declaration.getSourceFile())) return false;
    // What a class inherits from one of a framework is told by the framework.
    if (declaration.getSourceFile().fileName.includes("/node_modules/")) return false;
    if (ts.isPrivateIdentifier(declaration.name)) return false;
    if (ts.getCombinedModifierFlags(declaration) & (ts.ModifierFlags.Protected | ts.ModifierFlags.Private))
      return false;
    const home = declaration.parent.name?.text;
    return home === symbol.name || ![...exported.values()].flat().some(({ name }) => name === home);
  });
  return [...unnamed, ...named];
}

/** The documented fields of a type that no other section has: of type literals, and of types that aren't exported. */
function fieldsOf(node) {
  if (ts.isIntersectionTypeNode(node) || ts.isUnionTypeNode(node)) return node.types.flatMap(fieldsOf);
  if (ts.isParenthesizedTypeNode(node)) return fieldsOf(node.type);
  if (ts.isTypeLiteralNode(node)) return node.members.flatMap(documentedOf);
  if (!ts.isTypeReferenceNode(node)) return [];
  const symbol = checker.getSymbolAtLocation(node.typeName);
  const declared = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  if ([...exported.values()].flat().includes(declared)) return [];
  return declared.declarations.flatMap((declaration) => {
    const { fileName } = declaration.getSourceFile();
    if (!fileName.startsWith(root) || fileName.includes("/node_modules/")) return [];
    if (ts.isTypeAliasDeclaration(declaration)) return fieldsOf(declaration.type);
    return ts.isInterfaceDeclaration(declaration) ? declaration.members.flatMap(documentedOf) : [];
  });
}

function documentedOf(node) {
  const symbol = checker.getSymbolAtLocation(node.name ?? node);
  return symbol === undefined || textOf(symbol.getDocumentationComment(checker)) === "" ? [] : [symbol];
}

function parentsOf(symbol) {
  const clauses = symbol.declarations.flatMap((declaration) => declaration.heritageClauses ?? []);
  return clauses
    .map(({ token, types }) => ` ${ts.tokenToString(token)} \`${types.map(written).join("`, `")}\``)
    .join("");
}

function sectionOf(symbol) {
  const lines = [`### ${symbol.name}`, ""];
  const [declaration] = symbol.declarations;
  if (symbol.flags & ts.SymbolFlags.Function) {
    const heads = symbol.declarations.map((overload) => `**\`${signatureOf(symbol.name, overload)}\`**`);
    lines.push(heads.join("<br>"), "", docOf(symbol), "", tagsOf(symbol));
  } else if (ts.isTypeAliasDeclaration(declaration)) {
    const type = written(declaration.type)
      .replaceAll(/\/\*\*.*?\*\/ /g, "")
      .replace(/^\| /, "");
    lines.push(
      `**\`type ${generic(symbol.name, declaration)} = ${type}\`**`,
      "",
      docOf(symbol),
      "",
      tagsOf(symbol),
      "",
    );
    for (const field of fieldsOf(declaration.type)) lines.push(memberOf(field, symbol.name), "");
  } else if (ts.isVariableDeclaration(declaration)) {
    lines.push(`**\`const ${typed(symbol.name, declaration)}\`**`, "", docOf(symbol), "", tagsOf(symbol));
  } else {
    const kind = ts.isClassDeclaration(declaration) ? "class" : "interface";
    const generics = declaration.typeParameters ? ` \`${generic(symbol.name, declaration)}\`` : "";
    lines.push(`${kind}${generics}${parentsOf(symbol)}`, "", docOf(symbol), "", tagsOf(symbol), "");
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
