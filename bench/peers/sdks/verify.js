// Verifies an access token with supertokens-node, again and again, and tells how long it took.
//
// Arguments: the address of a core, and the access token. After that each line on the standard
// input is a time in seconds, for which it verifies; it answers with one line of JSON.

import process from "node:process";
import { createInterface } from "node:readline";
import supertokens from "supertokens-node";
import Session from "supertokens-node/recipe/session/index.js";

const BATCH = 50;
const [core, accessToken] = process.argv.slice(2);

supertokens.init({
  framework: "express",
  supertokens: { connectionURI: core },
  appInfo: {
    appName: "peers",
    apiDomain: "http://localhost:3000",
    websiteDomain: "http://localhost:3000",
  },
  recipeList: [Session.init({ antiCsrf: "NONE" })],
  telemetry: false,
});

async function verify() {
  const session = await Session.getSessionWithoutRequestResponse(accessToken);
  return session.getUserId();
}

const say = (what) => console.log(JSON.stringify(what));
const nanoseconds = ({ user, system }) => (user + system) * 1000;

say({ user: await verify() });
for await (const line of createInterface({ input: process.stdin })) {
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  const end = wall + Number(line) * 1000;
  let operations = 0;
  while (performance.now() < end) {
    for (let i = 0; i < BATCH; i++) await verify();
    operations += BATCH;
  }
  say({
    operations,
    cpu: nanoseconds(process.cpuUsage(cpu)),
    wall: Math.round((performance.now() - wall) * 1e6),
  });
}
process.exit(0);
