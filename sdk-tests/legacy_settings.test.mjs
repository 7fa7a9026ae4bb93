// The same under the settings that SDKs of CDI 2.0 to 2.3 are told of, or notice.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { TryRefreshToken, claimsOf } from "./support/legacy.mjs";
import { VERIFY, onCore, refused, someone, unauthorised } from "./support/legacy_suite.mjs";

const isSignedBy = (key, { accessToken }) => {
  try {
    return claimsOf(accessToken.token, key) !== undefined;
  } catch (error) {
    assert.ok(error instanceof TryRefreshToken, error);
    return false;
  }
};
const until = async (milliseconds) => {
  while (Date.now() <= milliseconds) await new Promise((resolve) => setTimeout(resolve, 50));
};

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
    const known = await sdk.handshake();
    // A key may be replaced between a token and the word of which key signs.
    let old;
    do {
      old = await sdk.createNewSession(someone());
    } while (!isSignedBy(known.jwtSigningPublicKey, old));
    const { jwtSigningPublicKey: oldKey } = known;
    // Its clock stands still, so that it holds its key for good.
    sdk.now = () => known.jwtSigningPublicKeyExpiryTime - 1;
    const limit = Date.now() + 20_000;
    let young;
    do {
      await new Promise((resolve) => setTimeout(resolve, 100));
      young = await other.createNewSession(someone());
      assert.ok(Date.now() < limit, "the key is never replaced");
    } while (isSignedBy(oldKey, young));

    sdk.takePaths();
    assert.deepEqual(await sdk.getSession(old.accessToken.token), { session: old.session });
    assert.deepEqual(sdk.takePaths(), [], "the key is not known to be old");
    assert.deepEqual(await sdk.getSession(young.accessToken.token), { session: young.session });
    assert.deepEqual(sdk.takePaths(), VERIFY, "a token of another key is asked about");
    assert.notEqual(known.jwtSigningPublicKey, oldKey);
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
