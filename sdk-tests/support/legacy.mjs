// A client of the core as SDKs were from CDI 2.0 to 2.3. It keeps the handshake, verifies access
// tokens with its key, asks the core where that does not do, and takes no answer with a field more
// or less than it knows.
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";

// Of `{"alg":"RS256","typ":"JWT","version":"2"}`, byte for byte.
const HEADER = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsInZlcnNpb24iOiIyIn0=";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const KEY = ["jwtSigningPublicKey", "jwtSigningPublicKeyExpiryTime"];

export class Unauthorised extends Error {}

export class TryRefreshToken extends Error {}

export class TokenTheft extends Error {
  constructor({ handle, userId }) {
    super("token theft detected");
    Object.assign(this, { handle, userId });
  }
}

// Whatever is no outcome, in the words of the first SDK.
export class GeneralError extends Error {}

// Standard base64 with its padding; the buffer is lenient, so the text is compared.
function decode(text) {
  const bytes = Buffer.from(text, "base64");
  assert.equal(bytes.toString("base64"), text, "standard base64 with padding");
  return bytes;
}

function hasExactly(object, fields) {
  assert.deepEqual(Object.keys(object).sort(), [...fields].sort());
}

// The claims of a V2 token that this key has signed.
export function claimsOf(token, publicKey) {
  const parts = token.split(".");
  if (parts.length !== 3) throw new TryRefreshToken("invalid JWT");
  const [header, payload, signature] = parts;
  if (header !== HEADER) throw new TryRefreshToken("JWT header mismatch");
  const key = createPublicKey({ key: decode(publicKey), format: "der", type: "spki" });
  assert.equal(key.asymmetricKeyType, "rsa");
  // RSASSA-PKCS1-v1_5 over the bytes as they came.
  if (!verify("sha256", Buffer.from(`${header}.${payload}`), key, decode(signature))) {
    throw new TryRefreshToken("JWT verification failed");
  }
  const claims = JSON.parse(decode(payload).toString());
  const optional = ["parentRefreshTokenHash1", "antiCsrfToken"].filter((name) => name in claims);
  hasExactly(claims, [
    "userId", "expiryTime", "timeCreated", "sessionHandle", "refreshTokenHash1", "userData",
    ...optional,
  ]);
  assert.match(claims.refreshTokenHash1, /^[0-9a-f]{64}$/);
  return claims;
}

export class LegacySdk {
  // The paths that were asked for since the last time.
  #paths = [];
  #handshake;

  constructor(core, { versions, apiKey }) {
    Object.assign(this, { core, versions, apiKey, now: Date.now });
  }

  takePaths() {
    return this.#paths.splice(0);
  }

  // The newest version that both know.
  async version() {
    if (this.negotiated === undefined) {
      const { versions } = await this.request("GET", "/apiversion", undefined, null);
      const newest = this.versions.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
      this.negotiated = newest.reverse().find((version) => versions.includes(version));
      if (this.negotiated === undefined) throw new GeneralError("no version is known to both");
    }
    return this.negotiated;
  }

  async request(method, path, body, version) {
    const headers = { "content-type": "application/json" };
    const spoken = version === undefined ? await this.version() : version;
    if (spoken !== null) headers["cdi-version"] = spoken;
    if (this.apiKey !== undefined) headers["api-key"] = this.apiKey;
    const text = body === undefined ? undefined : JSON.stringify(body);
    this.#paths.push(path.split("?")[0]);
    const response = await fetch(this.core + path, { method, headers, body: text });
    const answer = await response.text();
    assert.ok(answer.endsWith("\n"), "every answer is a line");
    if (response.status !== 200) {
      assert.equal(response.headers.get("content-type"), "text/html; charset=UTF-8");
      throw new GeneralError(
        `SuperTokens core threw an error for a ${method} request to path: ${path.split("?")[0]} ` +
          `with status code: ${response.status} and message: ${answer}`,
      );
    }
    assert.equal(response.headers.get("content-type"), "application/json; charset=UTF-8");
    return JSON.parse(answer);
  }

  #post(path, body) {
    const deviceDriverInfo = {
      frontendSDK: [{ name: "website", version: "5.0.0" }],
      driver: { name: "fastapi", version: "1.0.0" },
    };
    return this.request("POST", path, { ...body, deviceDriverInfo });
  }

  #get(path, query) {
    return this.request("GET", `${path}?${new URLSearchParams(query)}`);
  }

  // Asked for once; only the key and its expiry change later.
  async handshake() {
    if (this.#handshake === undefined) {
      const answer = await this.#post("/handshake", {});
      const domain = "cookieDomain" in answer ? ["cookieDomain"] : [];
      hasExactly(answer, [
        "status", ...KEY, ...domain, "cookieSecure", "cookieSameSite", "accessTokenPath",
        "refreshTokenPath", "idRefreshTokenPath", "enableAntiCsrf",
        "accessTokenBlacklistingEnabled", "sessionExpiredStatusCode",
      ]);
      this.#handshake = answer;
    }
    return this.#handshake;
  }

  // Takes the key out of an answer.
  async #learn(answer) {
    const known = await this.handshake();
    for (const name of KEY) {
      assert.ok(name in answer, name);
      known[name] = answer[name];
      delete answer[name];
    }
  }

  async #checkToken(token, cookiePath) {
    const { cookieDomain, cookieSecure, cookieSameSite } = await this.handshake();
    const { token: text, expiry, createdTime, ...attributes } = token;
    assert.equal(typeof text, "string");
    assert.ok(Number.isInteger(expiry) && Number.isInteger(createdTime) && expiry > createdTime);
    const domain = cookieDomain === undefined ? {} : { domain: cookieDomain };
    assert.deepEqual(attributes, { cookiePath, cookieSecure, sameSite: cookieSameSite, ...domain });
  }

  // What creation and refresh give, beside status and key.
  async #checkIssued({ status, ...issued }) {
    assert.equal(status, "OK");
    const { enableAntiCsrf, accessTokenPath, refreshTokenPath, idRefreshTokenPath } =
      await this.handshake();
    const antiCsrf = enableAntiCsrf ? ["antiCsrfToken"] : [];
    hasExactly(issued, ["session", "accessToken", "refreshToken", "idRefreshToken", ...antiCsrf]);
    hasExactly(issued.session, ["handle", "userId", "userDataInJWT"]);
    assert.match(issued.session.handle, UUID);
    await this.#checkToken(issued.accessToken, accessTokenPath);
    await this.#checkToken(issued.refreshToken, refreshTokenPath);
    await this.#checkToken(issued.idRefreshToken, idRefreshTokenPath);
    assert.match(issued.idRefreshToken.token, UUID);
    assert.equal(issued.idRefreshToken.expiry, issued.refreshToken.expiry);
    if (enableAntiCsrf) assert.match(issued.antiCsrfToken, UUID);
    return issued;
  }

  async createNewSession(userId, userDataInJWT = {}, userDataInDatabase = {}) {
    const answer = await this.#post("/session", { userId, userDataInJWT, userDataInDatabase });
    await this.#learn(answer);
    return this.#checkIssued(answer);
  }

  async getSession(accessToken, antiCsrfToken, doAntiCsrfCheck = false) {
    try {
      const session = await this.#verifyHere(accessToken, antiCsrfToken, doAntiCsrfCheck);
      if (session !== undefined) return { session };
    } catch (error) {
      if (!(error instanceof TryRefreshToken)) throw error;
    }
    const body = { accessToken, antiCsrfToken, doAntiCsrfCheck };
    const answer = await this.#post("/session/verify", body);
    if (answer.status !== "OK") return this.#refused(answer);
    await this.#learn(answer);
    const { status, ...verified } = answer;
    hasExactly(verified, ["session", ..."accessToken" in verified ? ["accessToken"] : []]);
    hasExactly(verified.session, ["handle", "userId", "userDataInJWT"]);
    if (verified.accessToken !== undefined) {
      await this.#checkToken(verified.accessToken, (await this.handshake()).accessTokenPath);
    }
    return verified;
  }

  // The session of a token of which nothing need be asked.
  async #verifyHere(accessToken, antiCsrfToken, doAntiCsrfCheck) {
    const known = await this.handshake();
    if (known.jwtSigningPublicKeyExpiryTime <= this.now()) return undefined;
    const claims = claimsOf(accessToken, known.jwtSigningPublicKey);
    if (claims.expiryTime < this.now()) throw new TryRefreshToken("access token expired");
    const checks = known.enableAntiCsrf && doAntiCsrfCheck;
    if (checks && (antiCsrfToken === undefined || antiCsrfToken !== claims.antiCsrfToken)) {
      throw new TryRefreshToken("anti-csrf check failed");
    }
    const isCurrent = claims.parentRefreshTokenHash1 === undefined;
    if (known.accessTokenBlacklistingEnabled || !isCurrent) return undefined;
    const { sessionHandle: handle, userId, userData: userDataInJWT } = claims;
    return { handle, userId, userDataInJWT };
  }

  #refused(answer) {
    hasExactly(answer, ["status", "message"]);
    const kinds = { UNAUTHORISED: Unauthorised, TRY_REFRESH_TOKEN: TryRefreshToken };
    const Kind = kinds[answer.status];
    throw new Kind(answer.message);
  }

  // The first SDKs have no anti-CSRF token to send.
  async refreshSession(refreshToken, antiCsrfToken) {
    const answer = await this.#post("/session/refresh", { refreshToken, antiCsrfToken });
    if (answer.status === "TOKEN_THEFT_DETECTED") {
      hasExactly(answer, ["status", "session"]);
      hasExactly(answer.session, ["handle", "userId"]);
      throw new TokenTheft(answer.session);
    }
    return answer.status === "OK" ? this.#checkIssued(answer) : this.#refused(answer);
  }

  async regenerate(accessToken, userDataInJWT) {
    const answer = await this.request("POST", "/session/regenerate", { accessToken, userDataInJWT });
    if (answer.status !== "OK") return this.#refused(answer);
    const { status, ...regenerated } = answer;
    hasExactly(regenerated, ["session", ..."accessToken" in regenerated ? ["accessToken"] : []]);
    hasExactly(regenerated.session, ["handle", "userId", "userDataInJWT"]);
    if (regenerated.accessToken !== undefined) {
      await this.#checkToken(regenerated.accessToken, (await this.handshake()).accessTokenPath);
    }
    return regenerated;
  }

  async #revoked(body) {
    const answer = await this.request("POST", "/session/remove", body);
    hasExactly(answer, ["status", "sessionHandlesRevoked"]);
    return answer.sessionHandlesRevoked;
  }

  revokeMultipleSessions(sessionHandles) {
    return this.#revoked({ sessionHandles });
  }

  revokeAllSessionsForUser(userId) {
    return this.#revoked({ userId });
  }

  async getAllSessionHandlesForUser(userId) {
    const answer = await this.#get("/session/user", { userId });
    hasExactly(answer, ["status", "sessionHandles"]);
    return answer.sessionHandles;
  }

  async #stored(path, field, sessionHandle) {
    const answer = await this.#get(path, { sessionHandle });
    if (answer.status !== "OK") return this.#refused(answer);
    hasExactly(answer, ["status", field]);
    return answer[field];
  }

  async #store(path, field, sessionHandle, value) {
    const answer = await this.request("PUT", path, { sessionHandle, [field]: value });
    if (answer.status !== "OK") return this.#refused(answer);
    hasExactly(answer, ["status"]);
    return undefined;
  }

  getSessionData(handle) {
    return this.#stored("/session/data", "userDataInDatabase", handle);
  }

  updateSessionData(handle, data) {
    return this.#store("/session/data", "userDataInDatabase", handle, data);
  }

  getJwtPayload(handle) {
    return this.#stored("/jwt/data", "userDataInJWT", handle);
  }

  updateJwtPayload(handle, payload) {
    return this.#store("/jwt/data", "userDataInJWT", handle, payload);
  }
}
