// Sessions over CDI 2.0 to 2.3, through a client as SDKs were then.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  GeneralError, LegacySdk, TokenTheft, TryRefreshToken, Unauthorised, claimsOf,
} from "./support/legacy.mjs";
import { startCore } from "./support/processes.mjs";

const VERSIONS = ["2.0", "2.1", "2.2", "2.3"];
const FIRST_SDK = ["2.0", "2.1", "2.2"];
const DAY = 24 * 3600 * 1000;
const VERIFY = ["/session/verify"];

// Tests on a core of their own with these settings; `define` is called for each version.
function onCore(name, settings, define) {
  describe(name, () => {
    let core;
    before(async () => { core = await startCore(settings); });
    after(() => core.stop());
    const connect = (options) => new LegacySdk(core.url, options);
    for (const version of VERSIONS) {
      describe(version, () => define(version, (options) => {
        return connect({ versions: [version], ...options });
      }));
    }
  });
}

const unauthorised = (message) => (error) => {
  return error instanceof Unauthorised && (message === undefined || error.message === message);
};
const refused = (method, path, status, message) => ({
  message: `SuperTokens core threw an error for a ${method} request to path: ${path} ` +
    `with status code: ${status} and message: ${message}\n`,
});
const hash = (text) => createHash("sha256").update(text).digest("hex");
const until = async (milliseconds) => {
  while (Date.now() <= milliseconds) await new Promise((resolve) => setTimeout(resolve, 50));
};
// Users of their own, as all tests of a core share it.
const someone = () => `user-${randomUUID()}`;

onCore("by default", {}, (version, connect) => {
  test("the newest version that both know is spoken", async () => {
    for (const [versions, expected] of [
      [[version], version],
      [["1.0", ...FIRST_SDK], "2.2"],
      [[...FIRST_SDK, "2.3"], "2.3"],
      [["2.3", "2.2"], "2.3"],
    ]) {
      assert.equal(await connect({ versions }).version(), expected);
    }
    await assert.rejects(connect({ versions: ["1.0", "2.4"] }).version(), GeneralError);
  });

  test("the handshake tells all about cookies, and the key", async () => {
    const sdk = connect();
    const { jwtSigningPublicKey, jwtSigningPublicKeyExpiryTime, ...told } = await sdk.handshake();
    const domain = version < "2.2" ? { cookieDomain: "localhost" } : {};
    assert.deepEqual(told, {
      status: "OK", ...domain, cookieSecure: false, cookieSameSite: "lax", accessTokenPath: "/",
      refreshTokenPath: "/session/refresh", idRefreshTokenPath: "/", enableAntiCsrf: false,
      accessTokenBlacklistingEnabled: false, sessionExpiredStatusCode: 401,
    });
    assert.match(jwtSigningPublicKey, /^MII[A-Za-z0-9+/]+={0,2}$/);
    assert.ok(jwtSigningPublicKeyExpiryTime > Date.now());
    assert.ok(jwtSigningPublicKeyExpiryTime <= Date.now() + 7 * DAY);
  });

  test("a session is created, verified here, refreshed, promoted, and verified here", async () => {
    const [sdk, user] = [connect(), someone()];
    const payload = { role: "editor", none: null, large: 9007199254740991, deep: [{ ä: 0.5 }] };
    const created = await sdk.createNewSession(user, payload, { cart: [1] });
    const { handle } = created.session;
    assert.deepEqual(created.session, { handle, userId: user, userDataInJWT: payload });
    const { jwtSigningPublicKey: key } = await sdk.handshake();
    const claims = claimsOf(created.accessToken.token, key);
    assert.equal(claims.refreshTokenHash1, hash(created.refreshToken.token));
    assert.equal(claims.expiryTime, created.accessToken.expiry);
    assert.equal(claims.timeCreated, created.accessToken.createdTime);
    assert.equal(claims.expiryTime - claims.timeCreated, 3600 * 1000);
    const { expiry, createdTime } = created.refreshToken;
    assert.equal(expiry - createdTime, 100 * DAY);
    sdk.takePaths();
    assert.deepEqual(await sdk.getSession(created.accessToken.token), { session: created.session });
    assert.deepEqual(sdk.takePaths(), [], "the core is not asked");

    const next = await sdk.refreshSession(created.refreshToken.token);
    assert.deepEqual(next.session, created.session);
    const child = claimsOf(next.accessToken.token, key);
    assert.equal(child.parentRefreshTokenHash1, hash(created.refreshToken.token));
    sdk.takePaths();
    const used = await sdk.getSession(next.accessToken.token);
    assert.deepEqual(sdk.takePaths(), VERIFY, "its first use is told to the core");
    assert.deepEqual(used.session, created.session);
    const promoted = claimsOf(used.accessToken.token, key);
    assert.ok(!("parentRefreshTokenHash1" in promoted));
    assert.equal(promoted.refreshTokenHash1, hash(next.refreshToken.token));
    assert.deepEqual(await sdk.getSession(used.accessToken.token), { session: created.session });
    assert.deepEqual(await sdk.getSession(created.accessToken.token), { session: created.session });
    assert.deepEqual(sdk.takePaths(), []);
  });

  test("what another key signed, or nobody, is asked about and refused", async () => {
    const sdk = connect();
    const { accessToken } = await sdk.createNewSession(someone());
    const [header, payload, signature] = accessToken.token.split(".");
    const claims = JSON.parse(Buffer.from(payload, "base64"));
    const forged = Buffer.from(JSON.stringify({ ...claims, userId: "admin" })).toString("base64");
    sdk.takePaths();
    for (const token of [`${header}.${forged}.${signature}`, "nonsense", `${header}.${payload}.`]) {
      await assert.rejects(sdk.getSession(token), TryRefreshToken);
      assert.deepEqual(sdk.takePaths(), VERIFY);
    }
  });

  test("a replay is a theft once the child was used, and the session is only reported", async () => {
    const [sdk, user] = [connect(), someone()];
    const created = await sdk.createNewSession(user);
    const { handle } = created.session;
    const first = await sdk.refreshSession(created.refreshToken.token);
    const sibling = await sdk.refreshSession(created.refreshToken.token);
    await sdk.getSession(first.accessToken.token);
    for (const { refreshToken } of [created, sibling]) {
      await assert.rejects(sdk.refreshSession(refreshToken.token), (error) => {
        assert.ok(error instanceof TokenTheft);
        assert.deepEqual([error.handle, error.userId], [handle, user]);
        return true;
      });
    }
    await sdk.refreshSession(first.refreshToken.token);
    assert.deepEqual(await sdk.revokeMultipleSessions([handle]), [handle]);
    await assert.rejects(sdk.refreshSession(first.refreshToken.token), Unauthorised);
    await assert.rejects(sdk.refreshSession("nonsense"), Unauthorised);
  });

  test("sessions are listed, and revoked by handle and by user", async () => {
    const [sdk, user, other] = [connect(), someone(), someone()];
    const sessions = [];
    for (let count = 0; count < 4; count += 1) sessions.push(await sdk.createNewSession(user));
    const handles = sessions.map(({ session }) => session.handle);
    const spared = await sdk.createNewSession(other);
    assert.deepEqual((await sdk.getAllSessionHandlesForUser(user)).sort(), [...handles].sort());
    const [first, second, ...rest] = handles;
    assert.deepEqual(await sdk.revokeMultipleSessions([first]), [first]);
    assert.deepEqual(await sdk.revokeMultipleSessions([first]), []);
    assert.deepEqual(await sdk.revokeMultipleSessions([]), []);
    assert.deepEqual(await sdk.revokeMultipleSessions([randomUUID(), second, first]), [second]);
    assert.deepEqual((await sdk.revokeAllSessionsForUser(user)).sort(), rest.sort());
    assert.deepEqual(await sdk.revokeAllSessionsForUser(user), []);
    assert.deepEqual(await sdk.getAllSessionHandlesForUser(user), []);
    const message = "Session missing in db or has expired";
    for (const { session, accessToken, refreshToken } of sessions) {
      assert.deepEqual(await sdk.getSession(accessToken.token), { session }, "until it ends");
      await assert.rejects(sdk.refreshSession(refreshToken.token), unauthorised(message));
    }
    assert.deepEqual(await sdk.getAllSessionHandlesForUser(other), [spared.session.handle]);
  });

  test("a child of a session that is gone is not verified", async () => {
    const sdk = connect();
    const created = await sdk.createNewSession(someone());
    const next = await sdk.refreshSession(created.refreshToken.token);
    await sdk.revokeMultipleSessions([created.session.handle]);
    const gone = unauthorised("Session missing in db");
    await assert.rejects(sdk.getSession(next.accessToken.token), gone);
  });

  test("data and payload are kept, by handle", async () => {
    const sdk = connect();
    const { session: { handle }, ...created } =
      await sdk.createNewSession(someone(), { a: 1 }, { cart: [], none: null });
    assert.deepEqual(await sdk.getSessionData(handle), { cart: [], none: null });
    assert.deepEqual(await sdk.getJwtPayload(handle), { a: 1 });
    await sdk.updateSessionData(handle, { cart: ["tea"], "ä": { none: null } });
    await sdk.updateJwtPayload(handle, { b: [null, 2.5] });
    assert.deepEqual(await sdk.getSessionData(handle), { cart: ["tea"], "ä": { none: null } });
    assert.deepEqual(await sdk.getJwtPayload(handle), { b: [null, 2.5] });
    const { session } = await sdk.getSession(created.accessToken.token);
    assert.deepEqual(session.userDataInJWT, { a: 1 }, "not before the next token");
    const next = await sdk.refreshSession(created.refreshToken.token);
    assert.deepEqual(next.session.userDataInJWT, { b: [null, 2.5] });
    await sdk.updateSessionData(handle, {});
    assert.deepEqual(await sdk.getSessionData(handle), {});

    const gone = unauthorised("Session does not exist.");
    await sdk.revokeMultipleSessions([handle]);
    await assert.rejects(sdk.getSessionData(handle), gone);
    await assert.rejects(sdk.getJwtPayload(handle), gone);
    await assert.rejects(sdk.updateSessionData(handle, {}), gone);
    await assert.rejects(sdk.updateJwtPayload(handle, {}), gone);
  });

  test("a regenerated token has the new payload and ends when the old one does", async () => {
    const sdk = connect();
    const created = await sdk.createNewSession(someone(), { a: 1 });
    const { jwtSigningPublicKey: key } = await sdk.handshake();
    const again = await sdk.regenerate(created.accessToken.token, { userId: "mine", b: null });
    assert.deepEqual(again.session, {
      ...created.session, userDataInJWT: { userId: "mine", b: null },
    });
    assert.equal(again.accessToken.expiry, created.accessToken.expiry);
    const [old, changed] = [created, again].map(({ accessToken }) => {
      const { timeCreated, userData, ...claims } = claimsOf(accessToken.token, key);
      return claims;
    });
    assert.deepEqual(changed, old);
    sdk.takePaths();
    assert.deepEqual(await sdk.getSession(again.accessToken.token), { session: again.session });
    assert.deepEqual(sdk.takePaths(), []);
    const kept = await sdk.regenerate(created.accessToken.token);
    assert.deepEqual(kept.session, again.session);
    // A child is regenerated and stays one.
    const next = await sdk.refreshSession(created.refreshToken.token);
    const child = await sdk.regenerate(next.accessToken.token, {});
    const { parentRefreshTokenHash1 } = claimsOf(child.accessToken.token, key);
    assert.equal(parentRefreshTokenHash1, hash(created.refreshToken.token));
    assert.ok((await sdk.getSession(child.accessToken.token)).accessToken !== undefined);
    await sdk.revokeMultipleSessions([created.session.handle]);
    const gone = unauthorised("Session does not exist.");
    await assert.rejects(sdk.regenerate(again.accessToken.token, {}), gone);
  });

  test("errors say what was wrong", async () => {
    const sdk = connect();
    const session = { userId: "a", userDataInJWT: {}, userDataInDatabase: {} };
    for (const [path, body, fields] of [
      ["/session", session, Object.keys(session)],
      ["/session/verify", { accessToken: "a", doAntiCsrfCheck: false }, undefined],
      ["/session/refresh", { refreshToken: "a" }, undefined],
      ["/session/regenerate", { accessToken: "a" }, undefined],
    ]) {
      for (const field of fields ?? Object.keys(body)) {
        for (const value of [undefined, null, 1.5, [1]]) {
          if (field === "doAntiCsrfCheck" && value === 1.5) continue;
          const problem = `Field name '${field}' is invalid in JSON input`;
          const asked = sdk.request("POST", path, { ...body, [field]: value });
          await assert.rejects(asked, refused("POST", path, 400, problem));
        }
      }
    }
    const one = "Invalid JSON input - use one of userId or sessionHandles array";
    for (const body of [{}, { userId: "a", sessionHandles: [] }]) {
      const asked = sdk.request("POST", "/session/remove", body);
      await assert.rejects(asked, refused("POST", "/session/remove", 400, one));
    }
    for (const [path, field] of [
      ["/session/user", "userId"], ["/session/data", "sessionHandle"],
      ["/jwt/data", "sessionHandle"],
    ]) {
      const problem = `Field name '${field}' is missing in GET request`;
      await assert.rejects(sdk.request("GET", path), refused("GET", path, 400, problem));
    }
    for (const [path, field] of [
      ["/session/data", "userDataInDatabase"], ["/jwt/data", "userDataInJWT"],
    ]) {
      const problem = `Field name '${field}' is invalid in JSON input`;
      for (const value of [undefined, null, "{}", []]) {
        const asked = sdk.request("PUT", path, { sessionHandle: "a", [field]: value });
        await assert.rejects(asked, refused("PUT", path, 400, problem));
      }
    }
    await assert.rejects(
      sdk.request("POST", "/handshake", []),
      refused("POST", "/handshake", 400, "Invalid Json Input"),
    );
    const problem =
      "/session DELETE is only available in CDI 1.0. Please call /session/remove POST instead";
    await assert.rejects(
      sdk.request("DELETE", "/session", {}),
      refused("DELETE", "/session", 400, problem),
    );
    await assert.rejects(
      sdk.request("GET", "/session/verify"),
      refused("GET", "/session/verify", 405, "Method not supported"),
    );
    for (const path of ["/recipe/session/user", "/nothing"]) {
      await assert.rejects(sdk.request("GET", path), refused("GET", path, 404, "Not found"));
    }
    await assert.rejects(
      sdk.request("POST", "/handshake", {}, "1.0"),
      refused("POST", "/handshake", 400, "cdi-version 1.0 not supported"),
    );
  });

  test("the core says hello", async () => {
    const sdk = connect();
    for (const method of ["GET", "POST", "PUT", "DELETE"]) {
      const response = await fetch(`${sdk.core}/hello`, {
        method, headers: { "cdi-version": version },
      });
      assert.deepEqual([response.status, await response.text()], [200, "Hello\n"]);
    }
  });
});

onCore("with blacklisting", { ACCESS_TOKEN_BLACKLISTING: "true" }, (version, connect) => {
  test("every verification asks the core", async () => {
    const sdk = connect();
    const created = await sdk.createNewSession(someone(), { a: 1 });
    const { handle } = created.session;
    assert.equal((await sdk.handshake()).accessTokenBlacklistingEnabled, true);
    sdk.takePaths();
    for (let count = 0; count < 2; count += 1) {
      assert.deepEqual(await sdk.getSession(created.accessToken.token), {
        session: created.session,
      });
      assert.deepEqual(sdk.takePaths(), VERIFY);
    }
    await sdk.updateJwtPayload(handle, { b: 2 });
    const changed = await sdk.getSession(created.accessToken.token);
    assert.deepEqual(changed.session, { ...created.session, userDataInJWT: { b: 2 } });
    assert.deepEqual(await sdk.getSession(changed.accessToken.token), { session: changed.session });

    await sdk.revokeMultipleSessions([handle]);
    const ended = unauthorised("Either the session has ended or has been blacklisted");
    for (const { accessToken } of [created, changed]) {
      await assert.rejects(sdk.getSession(accessToken.token), ended);
    }
  });
});

onCore("with anti-CSRF tokens", { ENABLE_ANTI_CSRF: "true" }, (version, connect) => {
  test("the token is asked for where the SDK checks it", async () => {
    const sdk = connect();
    assert.equal((await sdk.handshake()).enableAntiCsrf, true);
    const created = await sdk.createNewSession(someone());
    const { accessToken: { token }, antiCsrfToken } = created;
    sdk.takePaths();
    const session = { session: created.session };
    assert.deepEqual(await sdk.getSession(token, antiCsrfToken, true), session);
    assert.deepEqual(await sdk.getSession(token, undefined, false), session);
    assert.deepEqual(sdk.takePaths(), []);
    for (const given of [undefined, randomUUID()]) {
      const failed = { name: "Error", message: "anti-csrf check failed" };
      await assert.rejects(sdk.getSession(token, given, true), failed);
      assert.deepEqual(sdk.takePaths(), VERIFY, "the core has the last word");
    }
  });

  test("a refresh gives another one, and must bring its own from 2.3 on alone", async () => {
    const sdk = connect();
    const created = await sdk.createNewSession(someone());
    const { refreshToken: { token }, antiCsrfToken } = created;
    if (version === "2.3") {
      const missing = unauthorised("Anti CSRF token missing, or not matching");
      await assert.rejects(sdk.refreshSession(token), missing);
      await assert.rejects(sdk.refreshSession(token, randomUUID()), missing);
    } else {
      await sdk.refreshSession(token);
      await sdk.refreshSession(token, randomUUID());
    }
    const next = await sdk.refreshSession(token, antiCsrfToken);
    assert.notEqual(next.antiCsrfToken, antiCsrfToken);
    const old = sdk.getSession(next.accessToken.token, antiCsrfToken, true);
    await assert.rejects(old, TryRefreshToken);
    const used = await sdk.getSession(next.accessToken.token, next.antiCsrfToken, true);
    const { token: promoted } = used.accessToken;
    await sdk.getSession(promoted, next.antiCsrfToken, true);
    const regenerated = await sdk.regenerate(promoted, { a: 1 });
    sdk.takePaths();
    await sdk.getSession(regenerated.accessToken.token, next.antiCsrfToken, true);
    assert.deepEqual(sdk.takePaths(), [], "the token stays the same");
  });
});

onCore("with settings of its own", {
  ACCESS_TOKEN_PATH: "/app",
  REFRESH_API_PATH: "/refresh",
  COOKIE_DOMAIN: "supertokens.io",
  COOKIE_SECURE: "true",
  COOKIE_SAME_SITE: "none",
  ENABLE_ANTI_CSRF: "true",
  SESSION_EXPIRED_STATUS_CODE: "440",
  API_KEYS: "an-api-key-of-20-characters,another-key-of-20-characters",
}, (version, connect) => {
  const apiKey = "another-key-of-20-characters";

  test("the handshake tells them, and every token", async () => {
    const sdk = connect({ apiKey });
    const { jwtSigningPublicKey, jwtSigningPublicKeyExpiryTime, ...told } = await sdk.handshake();
    assert.deepEqual(told, {
      status: "OK", cookieDomain: "supertokens.io", cookieSecure: true, cookieSameSite: "none",
      accessTokenPath: "/app", refreshTokenPath: "/refresh", idRefreshTokenPath: "/app",
      enableAntiCsrf: true, accessTokenBlacklistingEnabled: false, sessionExpiredStatusCode: 440,
    });
    // The client compares the attributes of each token with the handshake.
    const created = await sdk.createNewSession(someone());
    const next = await sdk.refreshSession(created.refreshToken.token, created.antiCsrfToken);
    const used = await sdk.getSession(next.accessToken.token, next.antiCsrfToken, true);
    await sdk.regenerate(used.accessToken.token, {});
  });

  test("an API key is needed for all but hello", async () => {
    for (const wrong of [undefined, "", apiKey.slice(1), `${apiKey}x`]) {
      const invalid = refused("GET", "/apiversion", 401, "Invalid API key");
      await assert.rejects(connect({ apiKey: wrong }).handshake(), invalid);
      const sdk = connect({ apiKey: wrong });
      const asked = sdk.request("POST", "/session/refresh", { refreshToken: "a" }, version);
      await assert.rejects(asked, refused("POST", "/session/refresh", 401, "Invalid API key"));
    }
    assert.equal(await (await fetch(`${connect().core}/hello`)).text(), "Hello\n");
  });
});

onCore("with a key that is soon replaced", {
  ACCESS_TOKEN_DYNAMIC_SIGNING_KEY_UPDATE_INTERVAL: "0.0008",
}, (version, connect) => {
  test("an SDK learns the next key when it asks, and tokens of the old one go on", async () => {
    const [sdk, other] = [connect(), connect()];
    const old = await sdk.createNewSession(someone());
    // Its clock stands still, so that it holds its key for good.
    const known = await sdk.handshake();
    sdk.now = () => known.jwtSigningPublicKeyExpiryTime - 1;
    const { jwtSigningPublicKey: oldKey } = known;
    const limit = Date.now() + 20_000;
    let young;
    do {
      await new Promise((resolve) => setTimeout(resolve, 100));
      young = await other.createNewSession(someone());
      assert.ok(Date.now() < limit, "the key is never replaced");
    } while ((await other.handshake()).jwtSigningPublicKey === oldKey);
    assert.throws(() => claimsOf(young.accessToken.token, oldKey), TryRefreshToken);

    sdk.takePaths();
    assert.deepEqual(await sdk.getSession(old.accessToken.token), { session: old.session });
    assert.deepEqual(sdk.takePaths(), [], "the key is not known to be old");
    assert.deepEqual(await sdk.getSession(young.accessToken.token), { session: young.session });
    assert.deepEqual(sdk.takePaths(), VERIFY, "a token of another key is asked about");
    const learnt = await sdk.handshake();
    assert.notEqual(learnt.jwtSigningPublicKey, oldKey);
    claimsOf((await sdk.createNewSession(someone())).accessToken.token, learnt.jwtSigningPublicKey);
    assert.deepEqual(await sdk.getSession(old.accessToken.token), { session: old.session });

    // One whose key is over asks although the key is still the token's.
    const late = connect();
    const { jwtSigningPublicKeyExpiryTime } = await late.handshake();
    late.now = () => jwtSigningPublicKeyExpiryTime;
    late.takePaths();
    assert.deepEqual(await late.getSession(young.accessToken.token), { session: young.session });
    assert.deepEqual(late.takePaths(), VERIFY);
  });
});

onCore("with access tokens of a second", { ACCESS_TOKEN_VALIDITY: "1" }, (version, connect) => {
  test("a token that has ended is refreshed, or regenerated without a new one", async () => {
    const sdk = connect();
    const created = await sdk.createNewSession(someone());
    await until(created.accessToken.expiry);
    sdk.takePaths();
    const ended = { message: "Access token expired" };
    await assert.rejects(sdk.getSession(created.accessToken.token), ended);
    assert.deepEqual(sdk.takePaths(), VERIFY);
    const late = await sdk.regenerate(created.accessToken.token, { late: true });
    assert.deepEqual(late, { session: { ...created.session, userDataInJWT: { late: true } } });
    const next = await sdk.refreshSession(created.refreshToken.token);
    assert.deepEqual(next.session.userDataInJWT, { late: true });
    assert.ok(next.accessToken.expiry > created.accessToken.expiry);
  });
});
