// The core server and the applications, as processes that end with the test.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, request as forward } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";

const below = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

// Starts a program and gives its first line.
async function start(command, args, environment = {}) {
  const env = { ...process.env, ...environment };
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], env });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  const line = await Promise.race([
    new Promise((resolve) => createInterface({ input: child.stdout }).once("line", resolve)),
    ended.then((code) => assert.fail(`${command} ended with ${code}`)),
  ]);
  return { line, stop };
}

// A core with these settings, as environment variables.
export async function startCore(settings = {}) {
  const binary = process.env.SESSILE ?? below("../target/debug/sessile");
  const args = ["serve", "--port", "0", "--store", "memory", "--test-mode"];
  const { line, stop } = await start(binary, args, settings);
  return { url: /http:\/\/[^,]+/.exec(line)[0], stop };
}

// An app of its own, with these settings.
export async function createApp(core, coreConfig = {}) {
  const appId = randomUUID();
  const response = await fetch(`${core.url}/recipe/multitenancy/app/v2`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ appId, coreConfig }),
  });
  assert.deepEqual(await response.json(), { status: "OK", createdNew: true });
  return `${core.url}/appid-${appId}`;
}

const python = (program) => (options) => {
  const interpreter = process.env.PYTHON ?? below("../target/sdk-tests/venv/bin/python");
  return start(interpreter, [below(`applications/${program}`)], options);
};
const node = (program) => (options) => start("node", [below(`applications/${program}`)], options);

export const sdks = {
  "supertokens-node": node("express.mjs"),
  "supertokens-python": python("fastapi_app.py"),
};

// Those of CDI 2.0 to 2.3, and the newest version that each speaks.
export const legacySdks = {
  "supertokens-node-2.0": { newest: "2.0", launch: node("express_legacy.mjs") },
  "supertokens-node-2.2": { newest: "2.1", launch: node("express_legacy.mjs") },
  "supertokens-node-2.5": { newest: "2.3", launch: node("express_legacy.mjs") },
  "supertokens-flask": { newest: "2.3", launch: python("flask_legacy.py") },
};

async function launched(launch, options, refreshPath) {
  const { line, stop } = await launch({ APPLICATION: JSON.stringify(options) });
  return { url: `http://127.0.0.1:${line}`, refreshPath, stop };
}

export function startApplication(sdk, options) {
  return launched(sdks[sdk], options, "/auth/session/refresh");
}

export function startLegacyApplication(sdk, core) {
  return launched(legacySdks[sdk].launch, { sdk, core }, "/session/refresh");
}

// Stands before a core, and keeps what it is asked for.
export async function recordCalls(core) {
  const calls = [];
  const server = createServer((request, response) => {
    const { method, url, headers } = request;
    calls.push({ path: url.split("?")[0], version: headers["cdi-version"] });
    const forwarded = forward(core.url + url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    forwarded.once("error", () => response.destroy());
    request.pipe(forwarded);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const stop = async () => {
    server.closeAllConnections();
    await once(server.close(), "close");
  };
  return { url: `http://127.0.0.1:${server.address().port}`, take: () => calls.splice(0), stop };
}
