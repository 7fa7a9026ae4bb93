// The life of sessions, through each SDK.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { Client } from "./support/client.mjs";
import { createApp, sdks, startApplication, startCore } from "./support/processes.mjs";

let core;
before(async () => { core = await startCore(); });
after(() => core.stop());

// Runs a test on an app and a process of the application of its own.
function session(name, options, run) {
  const { coreConfig, ...application } = options;
  test(name, async () => {
    const uri = await createApp(core, coreConfig);
    const started = await startApplication(currentSdk, { core: uri, ...application });
    try {
      await run(started, uri);
    } finally {
      await started.stop();
    }
  });
}

const message = (answer) => [answer.status, answer.body.message];
const TRY_REFRESH = [401, "try refresh token"];
const UNAUTHORISED = [401, "unauthorised"];
const THEFT = [401, "token theft detected"];

let currentSdk;
for (const sdk of Object.keys(sdks)) {
  describe(sdk, () => {
    before(() => { currentSdk = sdk; });

    for (const transfer of ["header", "cookie"]) {
      session(`a session is created, verified, refreshed and used, by ${transfer}`, {}, async (app) => {
        const client = new Client(app, transfer);
        const created = await client.login("alice", { payload: { role: "editor", none: null } });
        assert.equal(created.userId, "alice");
        assert.equal(created.tenantId, "public");
        const first = { ...client.tokens };
        const read = await client.own("get");
        assert.equal(read.handle, created.handle);
        assert.equal(read.payload.role, "editor");
        assert.equal((await client.checked("get")).handle, created.handle);
        assert.equal(client.tokens.access, first.access, "neither replaces the token");

        await client.refreshed();
        const child = client.tokens.access;
        assert.notEqual(child, first.access);
        assert.equal(typeof decodeJwt(child).parentRefreshTokenHash1, "string");
        assert.equal((await client.own("get")).payload.role, "editor");
        assert.notEqual(client.tokens.access, child, "its first use replaces it");
        assert.equal(decodeJwt(client.tokens.access).parentRefreshTokenHash1, null);
        const current = client.tokens.access;
        await client.own("get");
        assert.equal(client.tokens.access, current);
      });
    }

    session("a replay is a theft once the child was used, and no earlier", {}, async (app) => {
      const client = new Client(app);
      const { handle } = await client.login("alice");
      const thief = client.clone();
      await client.refreshed();
      await thief.clone().refreshed();
      assert.deepEqual(await client.call("thefts"), []);
      await client.own("get");
      assert.deepEqual(message(await thief.refresh()), THEFT);
      assert.deepEqual(await client.call("thefts"), [{ sessionHandle: handle, userId: "alice" }]);
    });

    session("a sibling that lost is a theft", {}, async (app) => {
      const client = new Client(app);
      await client.login("alice");
      const sibling = client.clone();
      await client.refreshed();
      await sibling.refreshed();
      await client.own("get");
      assert.deepEqual(message(await sibling.refresh()), THEFT);
    });

    session("tokens end when their time is over", {
      coreConfig: { access_token_validity: 1, refresh_token_validity: 0.05 },
    }, async (app) => {
      const client = new Client(app);
      await client.login("alice");
      const { exp } = decodeJwt(client.tokens.access);
      const until = async (milliseconds) => {
        while (Date.now() <= milliseconds) await new Promise((resolve) => setTimeout(resolve, 50));
      };
      await until((exp + 1) * 1000);
      assert.deepEqual(message(await client.send("/own/get")), TRY_REFRESH);
      await client.login("alice");
      const { iat } = decodeJwt(client.tokens.access);
      await until((iat + 1) * 1000 + 3000);
      assert.deepEqual(message(await client.refresh()), UNAUTHORISED);
    });

    session("a session is revoked by handle, by several and by user", {}, async (app) => {
      const clients = [new Client(app), new Client(app), new Client(app), new Client(app)];
      const handles = [];
      for (const client of clients) handles.push((await client.login("alice")).handle);
      const other = new Client(app);
      await other.login("bob");
      const [first, second, third, fourth] = clients;
      assert.deepEqual((await first.call("list", "alice", null)).sort(), [...handles].sort());

      assert.equal(await first.call("revoke", handles[0]), true);
      assert.equal(await first.call("revoke", handles[0]), false);
      assert.equal((await first.own("get")).handle, handles[0], "until the access token ends");
      assert.deepEqual(message(await first.send("/checked/get")), UNAUTHORISED);
      assert.deepEqual(message(await first.refresh()), UNAUTHORISED);

      const several = [handles[1], "no such session"];
      assert.deepEqual(await first.call("revokeSeveral", several), [handles[1]]);
      assert.deepEqual(message(await second.refresh()), UNAUTHORISED);
      assert.equal(await third.own("revoke"), null);
      assert.deepEqual(await first.call("revokeUser", "alice", null), [handles[3]]);
      assert.deepEqual(message(await fourth.send("/checked/get")), UNAUTHORISED);
      assert.deepEqual(await first.call("list", "alice", null), []);
      assert.equal((await other.checked("get")).userId, "bob");
    });

    session("data and payload are kept, by session and by handle", {}, async (app) => {
      const client = new Client(app);
      const payload = { deep: { list: [1, 2.5, null] }, large: 9007199254740991 };
      const { handle } = await client.login("alice", { payload, data: { cart: [] } });
      assert.deepEqual(await client.own("data"), { cart: [] });
      await client.own("updateData", { cart: ["tea"], none: null });
      assert.deepEqual(await client.own("data"), { cart: ["tea"], none: null });
      assert.equal(await client.call("updateData", handle, {}), true);
      assert.deepEqual(await client.own("data"), {});

      await client.own("mergePayload", { large: null, new: "ä" });
      const merged = (await client.own("get")).payload;
      assert.deepEqual([merged.deep, merged.new, "large" in merged], [payload.deep, "ä", false]);
      assert.equal(await client.call("mergePayload", handle, { new: 2 }), true);
      assert.equal((await client.own("get")).payload.new, "ä", "not before the next token");
      assert.equal((await client.checked("get")).payload.new, 2, "or the next check");
      const stored = await client.call("information", handle);
      assert.deepEqual([stored.userId, stored.tenantId, stored.data], ["alice", "public", {}]);
      assert.deepEqual([stored.payload.new, stored.payload.deep], [2, payload.deep]);
      const [created, expiry] = await client.own("times");
      assert.deepEqual([created, expiry], [stored.timeCreated, stored.expiry]);
      assert.equal(expiry - created, 100 * 24 * 3600 * 1000);

      for (const operation of ["updateData", "mergePayload"]) {
        assert.equal(await client.call(operation, "no such session", {}), false);
      }
      assert.equal(await client.call("information", "no such session"), null);
    });

    session("claims are set, fetched, validated and removed", {}, async (app) => {
      const client = new Client(app);
      const { handle } = await client.login("alice");
      assert.equal(await client.own("claim"), null);
      assert.equal(await client.call("claim", handle), null);
      assert.equal(await client.call("validateClaims", handle), 0, "it fetches what is missing");
      assert.equal(await client.call("claim", handle), true);
      for (const [value, status] of [[false, 403], [true, 200]]) {
        await client.own("setClaim", value);
        assert.equal(await client.own("claim"), value);
        assert.equal((await client.send("/own/assertClaim")).status, status);
        assert.equal(await client.call("claim", handle), value);
        assert.equal(await client.call("validateClaims", handle), value ? 0 : 1);
      }
      await client.own("removeClaim");
      assert.equal(await client.own("claim"), null);
      await client.own("fetchClaim");
      assert.equal(await client.own("claim"), true);

      assert.equal(await client.call("setClaim", handle, false), true);
      assert.equal(await client.call("claim", handle), false);
      await client.refreshed();
      assert.equal(await client.own("claim"), false);
      assert.equal(await client.call("fetchClaim", handle), true);
      assert.equal(await client.call("claim", handle), true);
      assert.equal(await client.call("removeClaim", handle), true);
      assert.equal(await client.call("claim", handle), null);
    });

    session("anti-CSRF tokens guard cookies", { antiCsrf: "VIA_TOKEN" }, async (app) => {
      const client = new Client(app, "cookie");
      await client.login("alice");
      const first = client.tokens.antiCsrf;
      assert.match(first, /^[0-9a-f-]{36}$/);
      await client.own("get");
      const forger = client.clone();
      for (const antiCsrf of [undefined, "another"]) {
        forger.tokens.antiCsrf = antiCsrf;
        assert.deepEqual(message(await forger.send("/own/get")), TRY_REFRESH);
        assert.deepEqual(message(await forger.clone().refresh()), UNAUTHORISED);
      }
      await client.refreshed();
      assert.notEqual(client.tokens.antiCsrf, first);
      await client.checked("get");
    });

    session("tokens and JWTs are verified by another library", {}, async (app, uri) => {
      const client = new Client(app);
      const { handle } = await client.login("alice", { payload: { role: "editor" } });
      const keys = createRemoteJWKSet(new URL(`${uri}/.well-known/jwks.json`));
      const { payload, protectedHeader } = await jwtVerify(client.tokens.access, keys);
      assert.deepEqual([payload.sub, payload.sessionHandle, payload.tId], ["alice", handle, "public"]);
      const { kid, ...header } = protectedHeader;
      assert.deepEqual(header, { alg: "RS256", typ: "JWT", version: "5" });
      assert.match(kid, /^d-\d+$/);
      assert.deepEqual(Object.keys(payload).sort(), [
        "antiCsrfToken", "exp", "iat", "iss", "parentRefreshTokenHash1", "refreshTokenHash1",
        "role", "rsub", "sessionHandle", "sub", "tId",
      ]);
      for (const [fixed, prefix] of [[true, "s-"], [false, "d-"]]) {
        const { jwt } = await client.call("createJwt", { key: "value" }, 60, fixed);
        const verified = await jwtVerify(jwt, keys);
        assert.equal(verified.payload.key, "value");
        assert.equal(verified.payload.exp - verified.payload.iat, 60);
        assert.ok(verified.protectedHeader.kid.startsWith(prefix));
      }
      const own = await (await fetch(`${app.url}/auth/jwt/jwks.json`)).json();
      const published = await (await fetch(`${uri}/.well-known/jwks.json`)).json();
      assert.deepEqual(own.keys, published.keys);
    });

    session("a session moves to a static key", { dynamicKey: false }, async (app, uri) => {
      const client = new Client(app);
      await client.login("alice");
      const kind = () => decodeProtectedHeader(client.tokens.access).kid.slice(0, 2);
      assert.equal(kind(), "s-");
      const moved = await startApplication(currentSdk, { core: uri, dynamicKey: true });
      try {
        client.application = moved;
        assert.deepEqual(message(await client.send("/own/get")), TRY_REFRESH);
        await client.refreshed();
        assert.equal(kind(), "d-");
        await client.own("get");
        assert.equal(kind(), "d-");
      } finally {
        await moved.stop();
      }
    });

    session("tokens of a key that was replaced go on, and new ones have the new key", {
      coreConfig: { access_token_dynamic_signing_key_update_interval: 0.0003 },
    }, async (app) => {
      const client = new Client(app);
      await client.login("alice");
      const old = decodeProtectedHeader(client.tokens.access).kid;
      const other = new Client(app);
      const limit = Date.now() + 20_000;
      do {
        await new Promise((resolve) => setTimeout(resolve, 100));
        await other.login("bob");
        assert.ok(Date.now() < limit, "the key is never replaced");
      } while (decodeProtectedHeader(other.tokens.access).kid === old);
      assert.equal((await client.own("get")).userId, "alice");
      assert.equal((await other.own("get")).userId, "bob");
    });

    session("tenants have their own sessions", {}, async (app, uri) => {
      const response = await fetch(`${uri}/recipe/multitenancy/tenant/v2`, {
        method: "PUT", body: JSON.stringify({ tenantId: "t1" }),
      });
      assert.equal((await response.json()).createdNew, true);
      const [client, other] = [new Client(app), new Client(app)];
      const { handle, tenantId } = await client.login("alice", { tenant: "t1" });
      assert.deepEqual([tenantId, handle.endsWith("_t1")], ["t1", true]);
      const { handle: publicHandle } = await other.login("alice");
      assert.deepEqual(await client.call("list", "alice", "t1"), [handle]);
      assert.equal((await client.call("list", "alice", null)).length, 2);
      await client.refreshed();
      assert.equal((await client.checked("get")).tenantId, "t1");
      assert.deepEqual(await client.call("revokeUser", "alice", "t1"), [handle]);
      assert.deepEqual(await client.call("list", "alice", null), [publicHandle]);
      const nowhere = await client.send("/login", { tenant: "t9", userId: "a", payload: {}, data: {} });
      assert.equal(nowhere.status, 500);
      assert.match(nowhere.text, /AppId or tenantId not found/);
    });

    session("a payload must not name the token's own claims", {}, async (app) => {
      const client = new Client(app);
      const { handle } = await client.login("alice");
      for (const claim of ["sub", "tId", "rsub"]) {
        const changes = { [claim]: "mallory" };
        for (const [path, args] of [["/own", [changes]], ["/call", [handle, changes]]]) {
          const refused = await client.send(`${path}/mergePayload`, args);
          assert.equal(refused.status, 500);
          assert.match(refused.text, /status code: 400 and message: The user payload contains protected field/);
        }
      }
      await client.refreshed();
      assert.equal((await client.own("get")).userId, "alice");
    });

    session("apps are apart", {}, async (app) => {
      const client = new Client(app);
      await client.login("alice");
      const other = await startApplication(currentSdk, { core: await createApp(core) });
      try {
        client.application = other;
        assert.deepEqual(message(await client.send("/own/get")), TRY_REFRESH);
        assert.deepEqual(message(await client.refresh()), UNAUTHORISED);
      } finally {
        await other.stop();
      }
    });
  });
}
