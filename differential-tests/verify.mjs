// Gives jose every token of a file, as an application would that has Sessile's public keys.
//
// Usage: node verify.mjs <input> <output>

import { readFileSync, writeFileSync } from "node:fs";
import { createLocalJWKSet, jwtVerify } from "jose";

const [input, output] = process.argv.slice(2);
const work = JSON.parse(readFileSync(input, "utf8"));
const keys = createLocalJWKSet(work.jwks);
const options = {
  algorithms: ["ES256", "EdDSA", "RS256"],
  currentDate: new Date(work.now * 1000),
};

async function verdict(token) {
  try {
    const { payload } = await jwtVerify(token, keys, options);
    const { sub, sessionHandle } = payload;
    // As a text of its own: what it says may be no text at all, half a surrogate for instance.
    return { accepted: true, reason: "", claims: JSON.stringify({ sub, sessionHandle }) };
  } catch (error) {
    return { accepted: false, reason: `${error.code ?? error.name}: ${error.message}`.slice(0, 200) };
  }
}

const verdicts = [];
for (const token of work.tokens) {
  verdicts.push(await verdict(token));
}
const { version } = JSON.parse(readFileSync(new URL("node_modules/jose/package.json", import.meta.url), "utf8"));
writeFileSync(output, JSON.stringify({ version: `jose ${version}`, verdicts }));
