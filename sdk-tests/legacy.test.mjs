// Sessions over CDI 2.0 to 2.3, through a client as SDKs were then.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { test } from "node:test";
import {
  GeneralError, TokenTheft, TryRefreshToken, Unauthorised, claimsOf,
} from "./support/legacy.mjs";
import { VERIFY, onCore, refused, someone, unauthorised } from "./support/legacy_suite.mjs";

const FIRST_SDK = ["2.0", "2.1", "2.2"];
const DAY = 24 * 3600 * 1000;

const hash = (text) => createHash("sha256").update(text).digest("hex");

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
