// Checks an AsyncAPI document with the parser of the AsyncAPI project: node check_asyncapi.mjs DOCUMENT
// Ends with 1 where it finds an error or a warning, each on a line; that a newer version exists is no finding.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const WARNING = 1; // of Spectral's severities: 0 error, 1 warning, 2 information, 3 hint
const [path] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"), { source: path });
const findings = diagnostics.filter((one) => one.severity <= WARNING);
for (const one of findings) {
  console.error(`${path}:${one.range.start.line + 1}: ${one.code}: ${one.message} (${one.path.join(".") || "the document"})`);
}
if (findings.length || !document) {
  console.error(`error: ${path} is no sound AsyncAPI document`);
  process.exit(1);
}
