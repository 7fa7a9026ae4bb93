// What the suites of CDI 2.0 to 2.3 have in common.
import { randomUUID } from "node:crypto";
import { after, before, describe } from "node:test";
import { LegacySdk, Unauthorised } from "./legacy.mjs";
import { startCore } from "./processes.mjs";

const VERSIONS = ["2.0", "2.1", "2.2", "2.3"];

// What a client asks for that cannot tell by itself.
export const VERIFY = ["/session/verify"];

// Tests on a core of their own with these settings; `define` is called for each version.
export function onCore(name, settings, define) {
  describe(name, () => {
    let core;
    before(async () => { core = await startCore(settings); });
    after(() => core.stop());
    for (const version of VERSIONS) {
      describe(version, () => define(version, (options) => {
        return new LegacySdk(core.url, { versions: [version], ...options });
      }));
    }
  });
}

// A user of their own for tests that share a core.
export const someone = () => `user-${randomUUID()}`;

export const unauthorised = (message) => (error) => {
  return error instanceof Unauthorised && error.message === message;
};

// How the client tells an answer that is an error.
export const refused = (method, path, status, message) => ({
  message: `SuperTokens core threw an error for a ${method} request to path: ${path} ` +
    `with status code: ${status} and message: ${message}\n`,
});
