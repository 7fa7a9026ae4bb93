// Starts servers and browsers, and ends whatever is left when this process does, for any reason.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { contentOf, pagesFolder } from "./pages.mjs";

const binary =
  process.env.SERVER ?? path.join(import.meta.dirname, "../../target/debug/browser-test-server");

const running = new Set();

function endEverything() {
  for (const child of running) child.kill("SIGKILL");
  rmSync(pagesFolder, { recursive: true, force: true });
}

// Children that outlive even this, because this process was killed, see their input end.
process.on("exit", endEverything);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, () => process.exit(1));
}

/** Starts a browser-test-server with these arguments, on a free port. */
export async function startServer(...options) {
  if (!existsSync(binary)) {
    throw new Error(`${binary} is not there: cargo build -p sessile-browser-tests`);
  }
  const fixed = ["--static", pagesFolder, "--stop-with-input"];
  const child = spawn(binary, [...fixed, ...options], { stdio: ["pipe", "pipe", "inherit"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const origin = await originOf(child);

  async function call(method, target, body) {
    const response = await fetch(origin + target, {
      method,
      headers: { "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${target} was answered ${response.status}`);
    return response.json();
  }

  return {
    origin,
    /** Moves the server's clock forward. */
    advance: (seconds) => call("POST", "/test/advance", { seconds }),
    /** How often things happened to sessions since the server started. */
    counts: () => call("GET", "/test/counts"),
    /** How many sessions a user has. */
    sessionsOf: async (user) => (await call("GET", `/test/sessions/${user}`)).count,
    /** Ends all sessions of a user behind the browser's back. */
    revokeSessionsOf: (user) => call("DELETE", `/test/sessions/${user}`),
    async stop() {
      child.kill();
      if (running.has(child)) await once(child, "exit");
    },
  };
}

async function originOf(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    const found = line.match(/^listening on (\S+)$/);
    if (found) return found[1];
  }
  throw new Error("the server ended before it listened");
}

/** Serves the pages alone, on a free port: for front-ends and attackers on other origins. */
export async function startPages() {
  const server = createServer((request, response) => {
    const name = new URL(request.url, "http://localhost").pathname.replace("/pages/", "");
    const content = contentOf(name);
    if (content === undefined) return response.writeHead(404).end();
    const type = name.endsWith(".js") ? "text/javascript" : "text/html";
    response.writeHead(200, { "content-type": `${type}; charset=utf-8` }).end(content);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  return {
    /** The site of the servers, but another origin. */
    origin: `http://localhost:${port}`,
    /** Another site. */
    foreignOrigin: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Starts Chromium with a profile of its own. */
export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
