// The unmodified front-end SDK of SuperTokens against a server with Sessile.

import assert from "node:assert/strict";
import { describe } from "node:test";
import {
  ANTI_CSRF_MODES,
  PAST_EXPIRY,
  browserTest,
  growth,
  hasCookie,
  manyRequests,
  openTab,
  sdkPage,
  send,
  sendAll,
  sendWell,
  tokenCookieNames,
  usePages,
  useServer,
} from "./support/browser.mjs";

/** The SDK's view of the session. */
const view = (page) =>
  page.evaluate(async () => {
    const exists = await SuperTokens.doesSessionExist();
    const user = exists ? await SuperTokens.getUserId() : undefined;
    return { exists, user };
  });

const payload = (page) => page.evaluate(() => SuperTokens.getAccessTokenPayloadSecurely());
const signOut = (page) => page.evaluate(() => SuperTokens.signOut());
const eventsOf = (page) => page.evaluate(() => events);

/** A tab that is logged in. */
async function loggedIn(context, address, user) {
  const page = await openTab(context, address);
  assert.deepEqual(await view(page), { exists: false, user: undefined });
  assert.deepEqual(await sendWell(page, "POST", "/login", { userId: user }), { userId: user });
  assert.deepEqual(await view(page), { exists: true, user });
  return page;
}

/** Nothing of the session is left, neither here nor there. */
async function assertSessionGone(page, server, user) {
  const context = page.context();
  assert.deepEqual(await view(page), { exists: false, user: undefined });
  assert.deepEqual(await tokenCookieNames(context), []);
  for (const name of ["sFrontToken", "sAntiCsrf", "st-access-token", "st-refresh-token"]) {
    assert.equal(await hasCookie(context, name), false, name);
  }
  assert.equal(await server.sessionsOf(user), 0);
}

async function assertLargestPayloadArrives(page, server, user) {
  const fits = async (length) =>
    (await send(page, "PUT", "/payload", { text: "x".repeat(length) })).status === 200;
  let [fitting, tooLong] = [0, 4096];
  while (tooLong - fitting > 1) {
    const middle = Math.floor((fitting + tooLong) / 2);
    if (await fits(middle)) fitting = middle;
    else tooLong = middle;
  }
  assert.ok(fitting > 1024, `${fitting}`);
  assert.ok(await fits(fitting));
  assert.equal((await payload(page)).text.length, fitting);
  await server.advance(PAST_EXPIRY);
  const grown = await growth(server, async () => {
    assert.equal((await sendWell(page, "GET", "/me")).jwtPayload.text.length, fitting);
    assert.deepEqual(await view(page), { exists: true, user });
    assert.equal((await payload(page)).text.length, fitting);
  });
  assert.equal(grown.refreshRequests, 1);
}

// The base path of the ready-made routes: the SDK's own default, and the server's.
const BASE_PATHS = { "fetch-metadata": "/auth", token: "/", "custom-header": "/auth" };

for (const mode of ANTI_CSRF_MODES) {
  const base = BASE_PATHS[mode];
  const refreshPath = `${base === "/" ? "" : base}/session/refresh`;

  describe(`supertokens-website with cookies, anti-CSRF by ${mode}`, () => {
    const server = useServer("--anti-csrf", mode, "--api-base-path", base);

    const cookieTest = (name, body, options) =>
      browserTest(
        name,
        async ({ context, user }) => {
          const page = await loggedIn(context, sdkPage(server.origin, { base }), user);
          await body({ context, user, page });
        },
        options,
      );

    cookieTest("a request carries the session", async ({ context, user, page }) => {
      assert.deepEqual(await sendWell(page, "GET", "/me"), { userId: user, jwtPayload: {} });
      assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
      assert.deepEqual(await tokenCookieNames(context), [
        "sAccessToken /",
        `sRefreshToken ${refreshPath}`,
      ]);
      assert.equal(await hasCookie(context, "sFrontToken"), true);
      assert.equal(await hasCookie(context, "sAntiCsrf"), mode === "token");
    });

    cookieTest(
      "an expired access token is refreshed and the request repeated",
      async ({ user, page }) => {
        for (let round = 1; round <= 3; round += 1) {
          await server.advance(PAST_EXPIRY);
          const grown = await growth(server, async () => {
            assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: round });
            assert.equal((await sendWell(page, "GET", "/me")).userId, user);
          });
          assert.equal(grown.refreshRequests, 1);
          assert.equal(grown.refreshes, 1);
          assert.equal(grown.thefts, 0);
        }
        assert.deepEqual(await eventsOf(page), [
          "SESSION_CREATED",
          ...Array(3).fill(["ACCESS_TOKEN_PAYLOAD_UPDATED", "REFRESH_SESSION"]).flat(),
        ]);
      },
    );

    cookieTest("XMLHttpRequest is refreshed and repeated too", async ({ user, page }) => {
      await server.advance(PAST_EXPIRY);
      const answer = await page.evaluate(() => sendOldWay("GET", "/me"));
      assert.deepEqual(answer, { status: 200, body: { userId: user, jwtPayload: {} } });
    });

    cookieTest(
      "the SDK refreshes when it sees by itself that the token has ended",
      async ({ user, page }) => {
        await server.advance(PAST_EXPIRY);
        await page.evaluate((seconds) => {
          const now = Date.now;
          Date.now = () => now() + seconds * 1000;
        }, PAST_EXPIRY);
        const grown = await growth(server, async () => {
          assert.deepEqual(await view(page), { exists: true, user });
          // The SDK has set its clock by the new token.
          assert.deepEqual(await view(page), { exists: true, user });
        });
        assert.equal(grown.refreshRequests, 1);
        assert.equal(grown.refreshes, 1);
      },
    );

    cookieTest("20 requests at once after expiry make one refresh", async ({ user, page }) => {
      await server.advance(PAST_EXPIRY);
      const { requests, expected } = manyRequests(20, user);
      const grown = await growth(server, async () => {
        assert.deepEqual(await sendAll(page, requests), expected);
      });
      assert.equal(grown.refreshRequests, 1);
      assert.equal(grown.refreshes, 1);
      assert.equal(grown.thefts, 0);
    });

    cookieTest("a new payload is seen by the page", async ({ user, page }) => {
      await sendWell(page, "PUT", "/payload", { role: "editor", name: "Zoë" });
      const seen = await payload(page);
      assert.equal(seen.role, "editor");
      assert.equal(seen.name, "Zoë");
      assert.equal(seen.sub, user);
      assert.ok((await eventsOf(page)).includes("ACCESS_TOKEN_PAYLOAD_UPDATED"));

      // It outlives a refresh, and a change of an expired token's session refreshes first.
      await server.advance(PAST_EXPIRY);
      assert.deepEqual((await sendWell(page, "GET", "/me")).jwtPayload.role, "editor");
      assert.equal((await payload(page)).role, "editor");
      await server.advance(PAST_EXPIRY);
      await sendWell(page, "PUT", "/payload", { role: "reader" });
      assert.equal((await payload(page)).role, "reader");
      assert.equal((await payload(page)).name, undefined);
    });

    cookieTest(
      "a reloaded page and a new tab find the session",
      async ({ context, user, page }) => {
        await page.reload();
        assert.deepEqual(await view(page), { exists: true, user });
        await server.advance(PAST_EXPIRY);
        const other = await openTab(context, sdkPage(server.origin, { base }));
        assert.deepEqual(await sendWell(other, "POST", "/change"), { counter: 1 });
        assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 2 });
      },
    );

    cookieTest("signing out ends the session everywhere", async ({ user, page }) => {
      await signOut(page);
      await assertSessionGone(page, server, user);
      assert.equal((await send(page, "GET", "/me")).status, 401);
      assert.ok((await eventsOf(page)).includes("SIGN_OUT"));
    });

    cookieTest(
      "signing out after expiry refreshes and ends the session",
      async ({ user, page }) => {
        await server.advance(PAST_EXPIRY);
        await signOut(page);
        await assertSessionGone(page, server, user);
      },
    );

    cookieTest("two tabs after expiry", async ({ context, user, page }) => {
      const tabs = [page, await openTab(context, sdkPage(server.origin, { base }))];
      await sendWell(tabs[1], "GET", "/me");
      for (let round = 1; round <= 3; round += 1) {
        await server.advance(PAST_EXPIRY);
        const { requests, expected } = manyRequests(10, user);
        const grown = await growth(server, async () => {
          const answers = await Promise.all(tabs.map((tab) => sendAll(tab, requests)));
          assert.deepEqual(answers, [expected, expected]);
        });
        // The SDK's lock of both tabs rests on waiting a little, so it may let both through; the
        // server then gives both the same tokens.
        assert.equal(grown.thefts, 0);
        assert.equal(grown.refreshRequests, grown.refreshes + grown.reissues);
        assert.ok(grown.refreshRequests === 1 || grown.refreshRequests === 2);
      }
      for (const tab of tabs) assert.deepEqual(await view(tab), { exists: true, user });
    });

    cookieTest(
      "a session that was ended by the server is found out at the refresh",
      async ({ context, user, page }) => {
        await server.revokeSessionsOf(user);
        assert.equal((await send(page, "GET", "/me")).status, 200, "until its access token ends");
        await server.advance(PAST_EXPIRY);
        assert.equal((await send(page, "GET", "/me")).status, 401);
        assert.ok((await eventsOf(page)).includes("UNAUTHORISED"));
        await assertSessionGone(page, server, user);

        // And the user may log in again.
        await sendWell(page, "POST", "/login", { userId: user });
        assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
        assert.equal((await tokenCookieNames(context)).length, 2);
      },
    );

    cookieTest("where a route asks the store, it is found out at once", async ({ user, page }) => {
      await server.revokeSessionsOf(user);
      assert.equal((await send(page, "GET", "/me/immediate")).status, 401);
      assert.ok((await eventsOf(page)).includes("UNAUTHORISED"));
      await assertSessionGone(page, server, user);
    });

    for (const [from, to] of [
      ["cookie", "header"],
      ["header", "cookie"],
    ]) {
      browserTest(
        `an application that changes from ${from} to ${to}`,
        async ({ context, user }) => {
          const page = await loggedIn(
            context,
            sdkPage(server.origin, { base, transfer: from }),
            user,
          );
          // The session goes on as it was, and the next login is by the new way.
          await page.goto(sdkPage(server.origin, { base, transfer: to }));
          assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
          await server.advance(PAST_EXPIRY);
          assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 2 });
          assert.equal(await hasCookie(context, "sAccessToken"), from === "cookie");
          assert.equal(await hasCookie(context, "st-access-token"), from === "header");

          await sendWell(page, "POST", "/login", { userId: user });
          assert.equal(await server.sessionsOf(user), 1);
          assert.equal(await hasCookie(context, "sAccessToken"), to === "cookie");
          assert.equal(await hasCookie(context, "st-access-token"), to === "header");
          await server.advance(PAST_EXPIRY);
          assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
          await signOut(page);
          await assertSessionGone(page, server, user);
        },
      );
    }

    cookieTest(
      "the largest payload that the server takes reaches the page",
      async ({ user, page }) => {
        await assertLargestPayloadArrives(page, server, user);
      },
    );

    cookieTest("a login replaces the session that was there", async ({ user, page }) => {
      await sendWell(page, "POST", "/change");
      await sendWell(page, "POST", "/login", { userId: `${user}-other` });
      assert.deepEqual(await view(page), { exists: true, user: `${user}-other` });
      assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
      assert.equal(await server.sessionsOf(user), 0);
    });
  });

  describe(`supertokens-website on another origin, anti-CSRF by ${mode}`, () => {
    const pages = usePages();
    const trusted = ["--trusted-origin", () => pages.origin];
    const server = useServer("--anti-csrf", mode, "--api-base-path", base, ...trusted);

    for (const transfer of ["cookie", "header"]) {
      browserTest(`login, refresh and sign-out by ${transfer}`, async ({ context, user }) => {
        const settings = { api: server.origin, base, transfer };
        const page = await loggedIn(context, sdkPage(pages.origin, settings), user);
        assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
        await sendWell(page, "PUT", "/payload", { role: "editor" });
        assert.equal((await payload(page)).role, "editor");

        await server.advance(PAST_EXPIRY);
        const { requests, expected } = manyRequests(20, user);
        for (const answer of expected) {
          if (answer.body.userId) answer.body.jwtPayload = { role: "editor" };
        }
        const grown = await growth(server, async () => {
          assert.deepEqual(await sendAll(page, requests), expected);
        });
        assert.equal(grown.refreshRequests, 1);
        assert.equal(grown.refreshes, 1);

        await signOut(page);
        await assertSessionGone(page, server, user);
      });
    }
  });
}

describe("supertokens-website with headers", () => {
  const server = useServer("--api-base-path", "/auth");

  const headerTest = (name, body) =>
    browserTest(name, async ({ context, user }) => {
      const cookies = [];
      context.on("response", (response) => cookies.push(response.headerValue("set-cookie")));
      const settings = { base: "/auth", transfer: "header" };
      const page = await loggedIn(context, sdkPage(server.origin, settings), user);
      await body({ context, user, page });
      assert.deepEqual(
        (await Promise.all(cookies)).filter((value) => value !== null),
        [],
      );
    });

  headerTest(
    "login, request, refresh and sign-out without a cookie",
    async ({ context, user, page }) => {
      assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
      await server.advance(PAST_EXPIRY);
      const grown = await growth(server, async () => {
        assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 2 });
        assert.equal((await sendWell(page, "GET", "/me")).userId, user);
      });
      assert.equal(grown.refreshRequests, 1);
      assert.equal(grown.refreshes, 1);
      assert.deepEqual(await tokenCookieNames(context), []);
      // The SDK keeps the tokens where scripts see them.
      assert.equal(await hasCookie(context, "st-access-token"), true);

      await sendWell(page, "PUT", "/payload", { role: "editor" });
      assert.equal((await payload(page)).role, "editor");
      assert.equal((await sendWell(page, "GET", "/me")).jwtPayload.role, "editor");
      await signOut(page);
      await assertSessionGone(page, server, user);
    },
  );

  headerTest("20 requests at once after expiry make one refresh", async ({ user, page }) => {
    await server.advance(PAST_EXPIRY);
    const { requests, expected } = manyRequests(20, user);
    const grown = await growth(server, async () => {
      assert.deepEqual(await sendAll(page, requests), expected);
    });
    assert.equal(grown.refreshRequests, 1);
    assert.equal(grown.refreshes, 1);
  });

  headerTest("a session that was ended by the server is found out", async ({ user, page }) => {
    await server.revokeSessionsOf(user);
    await server.advance(PAST_EXPIRY);
    assert.equal((await send(page, "GET", "/me")).status, 401);
    assert.ok((await eventsOf(page)).includes("UNAUTHORISED"));
    await assertSessionGone(page, server, user);
  });
});

describe("supertokens-website at its limits", () => {
  const server = useServer("--anti-csrf", "token");

  // The SDK stores the time of the refresh, the front token and the anti-CSRF token one after the
  // other. A tab that reads between these writes keeps the old anti-CSRF token for the new time.
  browserTest(
    "a tab that read the anti-CSRF token while another one stored it",
    async ({ context, user }) => {
      const page = await loggedIn(context, sdkPage(server.origin), user);
      const other = await openTab(context, sdkPage(server.origin));
      const antiCsrf = () => other.evaluate(() => document.cookie.match(/sAntiCsrf=([^;]*)/)[1]);
      const store = (token) =>
        other.evaluate((token) => {
          document.cookie = `sAntiCsrf=${token}; path=/`;
        }, token);

      const old = await antiCsrf();
      await server.advance(PAST_EXPIRY);
      await sendWell(page, "GET", "/me");
      const stored = await antiCsrf();
      await store(old);
      await sendWell(other, "GET", "/me");
      await store(stored);
      assert.deepEqual(await sendWell(other, "POST", "/change"), { counter: 1 });
      assert.deepEqual(await view(page), { exists: true, user });
    },
  );

  browserTest("the largest payload beside a long user id", async ({ context, user }) => {
    const longUser = user.padEnd(256, "x");
    const page = await loggedIn(context, sdkPage(server.origin), longUser);
    await assertLargestPayloadArrives(page, server, longUser);
  });
});
