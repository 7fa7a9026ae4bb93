// A temporary folder with the pages and the unmodified supertokens-website, made into one script
// because its package has none for browsers.

import { cpSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildSync } from "esbuild";

export const pagesFolder = mkdtempSync(path.join(tmpdir(), "sessile-browser-tests-"));

cpSync(path.join(import.meta.dirname, "../pages"), pagesFolder, { recursive: true });
buildSync({
  stdin: { contents: 'export * from "supertokens-website";', resolveDir: import.meta.dirname },
  bundle: true,
  format: "iife",
  globalName: "SuperTokens",
  outfile: path.join(pagesFolder, "supertokens-website.js"),
  logLevel: "error",
});

const contents = new Map(
  readdirSync(pagesFolder).map((name) => [name, readFileSync(path.join(pagesFolder, name))]),
);

/** What a page or script holds; undefined if there is none of that name. */
export const contentOf = (name) => contents.get(name);
