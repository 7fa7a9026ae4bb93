// The life of sessions, through SDKs of CDI 2.0 to 2.3 as their registries have them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Client } from "./support/client.mjs";
import {
  legacySdks, recordCalls, startCore, startLegacyApplication,
} from "./support/processes.mjs";

const message = ({ status, body }) => [status, body.message ?? body.error];
// Another character, beyond the header of an access token.
const tampered = (token) => token.slice(0, 80) + (token[80] === "A" ? "B" : "A") + token.slice(81);
const paths = (calls) => calls.map(({ path }) => path);

// Each SDK in its own version, and those of 2.3 also before a core that ends with 2.2.
const CASES = Object.entries(legacySdks).flatMap(([sdk, { newest }]) => {
  return (newest === "2.3" ? ["2.2", newest] : [newest]).map((version) => [sdk, version]);
});

// Tests on a core of their own with these settings; each has a client of an application and what
// that asks the core for.
function onCore(name, settings, define) {
  describe(name, () => {
    for (const [sdk, version] of CASES) {
      describe(`${sdk} speaks ${version}`, () => {
        const started = [];
        const begin = async (beginning) => {
          const running = await beginning;
          started.unshift(running);
          return running;
        };
        let [application, recorder] = [];
        before(async () => {
          const newest = { SUPERTOKENS_MAX_CDI_VERSION: version };
          const core = await begin(startCore({ ...settings, ...newest }));
          recorder = await begin(recordCalls(core));
          application = await begin(startLegacyApplication(sdk, recorder.url));
        });
        after(async () => {
          for (const running of started) await running.stop();
        });
        define((title, run) => test(title, async () => {
          const client = new Client(application, "cookie");
          await run({ client, user: randomUUID(), take: () => recorder.take(), version });
        }));
      });
    }
  });
}

onCore("by default", {}, (session) => {
  session("a session is created, verified without the core, refreshed and promoted", async ({
    client, user, take, version,
  }) => {
    const payload = { role: "editor", none: null, "ä": [1, 2.5] };
    const created = await client.login(user, { payload });
    const spoken = take().map((call) => call.version).filter((named) => named !== undefined);
    assert.ok(spoken.length > 0 && spoken.every((named) => named === version), spoken.join());
    assert.deepEqual([created.userId, created.payload], [user, payload]);
    assert.ok(client.tokens.idRefresh);
    const first = client.tokens.access;
    take();
    assert.deepEqual(await client.own("get"), created);
    assert.deepEqual(take(), []);

    await client.refreshed();
    const child = client.tokens.access;
    assert.notEqual(child, first);
    assert.deepEqual(paths(take()), ["/session/refresh"]);
    assert.deepEqual(await client.own("get"), created);
    assert.deepEqual(paths(take()), ["/session/verify"]);
    const promoted = client.tokens.access;
    assert.notEqual(promoted, child);
    assert.deepEqual(await client.own("get"), created);
    assert.deepEqual([client.tokens.access, take()], [promoted, []]);
  });

  session("a replay is a theft once the child was used, and ends the session", async ({
    client, user,
  }) => {
    const { handle } = await client.login(user);
    const thief = client.clone();
    await client.refreshed();
    await thief.clone().refreshed();
    await client.own("get");
    assert.deepEqual(message(await thief.refresh()), [401, "token theft detected"]);
    assert.deepEqual(message(await client.refresh()), [401, "unauthorised"]);
    assert.deepEqual(await client.call("revokeSeveral", [handle]), []);
  });

  session("tokens that were tampered with are refused", async ({ client, user, take }) => {
    await client.login(user);
    take();
    for (const [kind, status, call] of [
      ["access", [401, "try refresh token"], (forger) => forger.send("/own/get")],
      ["refresh", [401, "unauthorised"], (forger) => forger.refresh()],
    ]) {
      const forger = client.clone();
      forger.tokens[kind] = tampered(forger.tokens[kind]);
      assert.deepEqual(message(await call(forger)), status);
    }
    assert.deepEqual(paths(take()), ["/session/verify", "/session/refresh"]);
  });

  session("sessions are listed, and revoked by handle, by several and by user", async ({
    client, user,
  }) => {
    const clients = [client, client.clone(), client.clone(), client.clone()];
    const handles = [];
    for (const each of clients) handles.push((await each.login(user)).handle);
    const other = client.clone();
    const { handle } = await other.login(`other ${user}`);
    assert.deepEqual((await client.call("list", user)).sort(), [...handles].sort());
    assert.equal(await client.call("revoke", handles[0]), true);
    assert.equal(await client.call("revoke", handles[0]), false);
    assert.equal((await client.own("get")).handle, handles[0], "until the access token ends");
    assert.deepEqual(message(await client.refresh()), [401, "unauthorised"]);
    assert.deepEqual(await other.call("revokeSeveral", [handles[1], "gone"]), [handles[1]]);
    assert.equal(await clients[2].own("revoke"), null);
    assert.deepEqual(await other.call("revokeUser", user), [handles[3]]);
    assert.deepEqual(await other.call("list", user), []);
    assert.deepEqual(await other.call("list", `other ${user}`), [handle]);
  });

  session("data and payload are kept, by session and by handle", async ({ client, user, take }) => {
    const { handle } = await client.login(user, { payload: { a: 1 }, data: { cart: [null] } });
    assert.deepEqual(await client.own("data"), { cart: [null] });
    await client.own("updateData", { cart: ["tea"] });
    assert.deepEqual(await client.call("data", handle), { cart: ["tea"] });
    await client.call("updateData", handle, {});
    assert.deepEqual(await client.own("data"), {});

    await client.own("updatePayload", { b: { none: null } });
    take();
    assert.deepEqual((await client.own("get")).payload, { b: { none: null } });
    assert.deepEqual(take(), [], "the new token is verified without the core");
    assert.deepEqual(await client.call("payload", handle), { b: { none: null } });
    await client.call("updatePayload", handle, { c: 3 });
    assert.deepEqual((await client.own("get")).payload, { b: { none: null } });
    await client.refreshed();
    assert.deepEqual((await client.own("get")).payload, { c: 3 });

    await client.call("revoke", handle);
    for (const [operation, ...values] of [
      ["data"], ["updateData", {}], ["payload"], ["updatePayload", {}],
    ]) {
      const gone = await client.clone().send(`/call/${operation}`, [handle, ...values]);
      assert.deepEqual(message(gone), [401, "unauthorised"], operation);
    }
  });
});

onCore("with anti-CSRF tokens and blacklisting", {
  ENABLE_ANTI_CSRF: "true", ACCESS_TOKEN_BLACKLISTING: "true", SESSION_EXPIRED_STATUS_CODE: "440",
}, (session) => {
  session("a request from elsewhere is refused, and a revoked session at once", async ({
    client, user, take,
  }) => {
    const { handle } = await client.login(user);
    const first = client.tokens.antiCsrf;
    assert.match(first, /^[0-9a-f-]{36}$/);
    take();
    await client.own("get");
    assert.deepEqual(paths(take()), ["/session/verify"]);
    for (const antiCsrf of [undefined, randomUUID()]) {
      const forger = client.clone();
      forger.tokens.antiCsrf = antiCsrf;
      assert.deepEqual(message(await forger.send("/own/get")), [440, "try refresh token"]);
    }
    await client.refreshed();
    assert.notEqual(client.tokens.antiCsrf, first);
    await client.own("get");
    await client.own("updatePayload", { a: 1 });
    assert.deepEqual((await client.own("get")).payload, { a: 1 });
    await client.call("revoke", handle);
    assert.deepEqual(message(await client.clone().send("/own/get")), [440, "unauthorised"]);
    assert.deepEqual(message(await client.refresh()), [440, "unauthorised"]);
  });
});

onCore("with a key that is soon replaced", {
  ACCESS_TOKEN_DYNAMIC_SIGNING_KEY_UPDATE_INTERVAL: "0.0008",
}, (session) => {
  session("tokens of each key are verified, and the next key is learnt", async ({
    client, user, take,
  }) => {
    const created = await client.login(user);
    const limit = Date.now() + 20_000;
    do {
      await new Promise((resolve) => setTimeout(resolve, 100));
      take();
      assert.deepEqual(await client.own("get"), created);
      assert.ok(Date.now() < limit, "the key is never over");
    } while (take().length === 0);
    const other = client.clone();
    const young = await other.login(user);
    assert.deepEqual(await other.own("get"), young);
    assert.deepEqual(await client.own("get"), created);
    await client.refreshed();
    assert.deepEqual(await client.own("get"), created);
  });
});
