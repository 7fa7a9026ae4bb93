// The core server and the applications, as processes that end with the test.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
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

export async function startCore() {
  const binary = process.env.SESSILE ?? below("../target/debug/sessile");
  const args = ["serve", "--port", "0", "--store", "memory", "--test-mode"];
  const { line, stop } = await start(binary, args);
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

export const sdks = {
  "supertokens-node": (options) => start("node", [below("applications/express.mjs")], options),
  "supertokens-python": (options) => {
    const python = process.env.PYTHON ?? below("../target/sdk-tests/venv/bin/python");
    return start(python, [below("applications/fastapi_app.py")], options);
  },
};

export async function startApplication(sdk, options) {
  const { line, stop } = await sdks[sdk]({ APPLICATION: JSON.stringify(options) });
  return { url: `http://127.0.0.1:${line}`, stop };
}
