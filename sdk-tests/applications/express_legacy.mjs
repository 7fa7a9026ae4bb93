// An application in Express on an SDK for Node as it was before CDI 2.4. Prints its port.
import express from "express";

const { core, sdk: name } = JSON.parse(process.env.APPLICATION);
const { default: sdk } = await import(name);
const { hostname, port } = new URL(core);
sdk.init(name === "supertokens-node-2.0" ? [{ hostname, port }] : { hosts: core });

const own = {
  get: (session) => ({
    userId: session.getUserId(), handle: session.getHandle(), payload: session.getJWTPayload(),
  }),
  data: (session) => session.getSessionData(),
  updateData: (session, data) => session.updateSessionData(data),
  updatePayload: (session, payload) => session.updateJWTPayload(payload),
  revoke: (session) => session.revokeSession(),
};
const calls = {
  list: sdk.getAllSessionHandlesForUser,
  revoke: sdk.revokeSession,
  revokeSeveral: sdk.revokeMultipleSessions,
  revokeUser: sdk.revokeAllSessionsForUser,
  data: sdk.getSessionData,
  updateData: sdk.updateSessionData,
  payload: sdk.getJWTPayload,
  updatePayload: sdk.updateJWTPayload,
};

const application = express();
application.use(express.json());
application.post("/login", async ({ body }, response) => {
  const session = await sdk.createNewSession(response, body.userId, body.payload, body.data);
  response.json({ result: own.get(session) });
});
application.post("/session/refresh", sdk.middleware(), ({ session }, response) => {
  response.json({ result: own.get(session) });
});
application.post("/own/:operation", sdk.middleware(), async ({ session, params, body }, response) => {
  response.json({ result: await own[params.operation](session, ...body) ?? null });
});
application.post("/call/:operation", async ({ params, body }, response) => {
  response.json({ result: await calls[params.operation](...body) ?? null });
});
application.use(sdk.errorHandler());
const server = application.listen(0, "127.0.0.1", () => console.log(server.address().port));
