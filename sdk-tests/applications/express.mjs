// An application on supertokens-node with the session recipe alone. Prints its port.
import express from "express";
import supertokens from "supertokens-node";
import { errorHandler, middleware } from "supertokens-node/framework/express/index.js";
import Session from "supertokens-node/recipe/session/index.js";
import { BooleanClaim } from "supertokens-node/recipe/session/claims.js";
import { verifySession } from "supertokens-node/recipe/session/framework/express/index.js";

const options = JSON.parse(process.env.APPLICATION);
const thefts = [];
const verified = new BooleanClaim({ key: "verified", fetchValue: () => true });

supertokens.init({
  framework: "express",
  supertokens: { connectionURI: options.core },
  appInfo: { appName: "app", apiDomain: "http://127.0.0.1", websiteDomain: "http://127.0.0.1" },
  recipeList: [
    Session.init({
      antiCsrf: options.antiCsrf,
      useDynamicAccessTokenSigningKey: options.dynamicKey,
      errorHandlers: {
        onTokenTheftDetected: async (sessionHandle, userId, _recipeUserId, _request, response) => {
          thefts.push({ sessionHandle, userId });
          response.setStatusCode(401);
          response.sendJSONResponse({ message: "token theft detected" });
        },
      },
    }),
  ],
  telemetry: false,
});

const shown = async (session) => ({
  userId: session.getUserId(),
  handle: session.getHandle(),
  tenantId: session.getTenantId(),
  payload: session.getAccessTokenPayload(),
});

// What is done with the session of a request.
const own = {
  get: shown,
  data: (session) => session.getSessionDataFromDatabase(),
  updateData: (session, [data]) => session.updateSessionDataInDatabase(data),
  mergePayload: (session, [changes]) => session.mergeIntoAccessTokenPayload(changes),
  setClaim: (session, [value]) => session.setClaimValue(verified, value),
  fetchClaim: (session) => session.fetchAndSetClaim(verified),
  removeClaim: (session) => session.removeClaim(verified),
  claim: (session) => session.getClaimValue(verified),
  assertClaim: (session) => session.assertClaims([verified.validators.isTrue()]),
  times: async (session) => [await session.getTimeCreated(), await session.getExpiry()],
  revoke: (session) => session.revokeSession(),
};

// What is done with a session by its handle, and with a user.
const byHandle = {
  information: async (handle) => {
    const found = await Session.getSessionInformation(handle);
    return found && {
      userId: found.userId,
      tenantId: found.tenantId,
      payload: found.customClaimsInAccessTokenPayload,
      data: found.sessionDataInDatabase,
      timeCreated: found.timeCreated,
      expiry: found.expiry,
    };
  },
  updateData: (handle, data) => Session.updateSessionDataInDatabase(handle, data),
  mergePayload: (handle, changes) => Session.mergeIntoAccessTokenPayload(handle, changes),
  setClaim: (handle, value) => Session.setClaimValue(handle, verified, value),
  fetchClaim: (handle) => Session.fetchAndSetClaim(handle, verified),
  removeClaim: (handle) => Session.removeClaim(handle, verified),
  claim: async (handle) => (await Session.getClaimValue(handle, verified)).value,
  validateClaims: async (handle) => {
    const validators = () => [verified.validators.isTrue()];
    return (await Session.validateClaimsForSessionHandle(handle, validators)).invalidClaims?.length;
  },
  revoke: (handle) => Session.revokeSession(handle),
  revokeSeveral: (handles) => Session.revokeMultipleSessions(handles),
  revokeUser: (userId, tenant) => Session.revokeAllSessionsForUser(userId, true, tenant ?? undefined),
  list: (userId, tenant) => Session.getAllSessionHandlesForUser(userId, true, tenant ?? undefined),
  createJwt: (payload, validity, fixed) => Session.createJWT(payload, validity, fixed),
  thefts: async () => thefts,
};

const app = express();
app.use(middleware());
app.use(express.json());
const answer = async (response, result) => response.json({ result: (await result) ?? null });
app.post("/login", async (request, response) => {
  const { tenant, userId, payload, data } = request.body;
  const user = supertokens.convertToRecipeUserId(userId);
  const session = await Session.createNewSession(request, response, tenant, user, payload, data);
  await answer(response, shown(session));
});
for (const [path, checkDatabase] of [["/own", false], ["/checked", true]]) {
  app.post(`${path}/:operation`, verifySession({ checkDatabase }), (request, response) =>
    answer(response, own[request.params.operation](request.session, request.body)));
}
app.post("/call/:operation", (request, response) =>
  answer(response, byHandle[request.params.operation](...request.body)));
app.use(errorHandler());
app.use((error, _request, response, _next) => response.status(500).send(`${error.message}`));
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
