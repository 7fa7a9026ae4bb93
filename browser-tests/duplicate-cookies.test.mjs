// Browsers may hold several cookies of one name, left behind by other settings or older versions
// of an application, and send all of them.

import assert from "node:assert/strict";
import { describe } from "node:test";
import {
  PAST_EXPIRY,
  browserTest,
  growth,
  openTab,
  sdkPage,
  sendWell,
  tokenCookieNames,
  tokenCookies,
  useServer,
} from "./support/browser.mjs";

const server = useServer();

const HEALED = ["sAccessToken /", "sRefreshToken /session/refresh"];

/** Puts a cookie into the browser, as an earlier answer may have done. */
const plant = (context, name, value, path) =>
  context.addCookies([{ name, value, path, domain: "localhost", httpOnly: true, sameSite: "Lax" }]);

async function valueOf(context, wanted) {
  return (await tokenCookies(context)).find(({ name }) => name === wanted).value;
}

/** A test with a session that was refreshed once, and its tokens before that. */
function duplicateTest(name, body, { revocations = 0 } = {}) {
  browserTest(name, async ({ context, user }) => {
    const page = await openTab(context, sdkPage(server.origin));
    await sendWell(page, "POST", "/login", { userId: user });
    const older = {
      access: await valueOf(context, "sAccessToken"),
      refresh: await valueOf(context, "sRefreshToken"),
    };
    await server.advance(PAST_EXPIRY);
    await sendWell(page, "GET", "/me");
    assert.notEqual(await valueOf(context, "sAccessToken"), older.access);
    const grown = await growth(server, () => body({ context, user, page, older }));
    assert.equal(grown.thefts, 0);
    assert.equal(grown.revocations, revocations);
    assert.equal(await server.sessionsOf(user), 1);
  });
}

describe("duplicate cookies", () => {
  duplicateTest(
    "an older access token where it is sent first, out of reach",
    async ({ context, user, page, older }) => {
      await plant(context, "sAccessToken", older.access, "/me");
      const good = await valueOf(context, "sAccessToken");
      assert.equal((await sendWell(page, "GET", "/me")).userId, user);
      await server.advance(PAST_EXPIRY);
      assert.equal((await sendWell(page, "GET", "/me")).userId, user);
      assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
      assert.deepEqual(await tokenCookieNames(context), [
        "sAccessToken /",
        "sAccessToken /me",
        "sRefreshToken /session/refresh",
      ]);
      const cookies = await tokenCookies(context);
      assert.equal(cookies[1].value, older.access);
      assert.notEqual(cookies[0].value, good);
    },
  );

  duplicateTest(
    "an older access token on the refresh path is cleared by a refresh",
    async ({ context, user, page, older }) => {
      await plant(context, "sAccessToken", older.access, "/session/refresh");
      assert.equal((await sendWell(page, "GET", "/me")).userId, user);
      await server.advance(PAST_EXPIRY);
      assert.equal((await sendWell(page, "GET", "/me")).userId, user);
      assert.deepEqual(await tokenCookieNames(context), HEALED);
    },
  );

  for (const kind of ["an older one of the session", "a damaged one", "an equal one"]) {
    duplicateTest(
      `a second refresh token on every path, ${kind}`,
      async ({ context, user, page, older }) => {
        const current = await valueOf(context, "sRefreshToken");
        const value = {
          "an older one of the session": older.refresh,
          "a damaged one": "damaged",
          "an equal one": current,
        }[kind];
        await plant(context, "sRefreshToken", value, "/");
        assert.equal((await sendWell(page, "GET", "/me")).userId, user);
        await server.advance(PAST_EXPIRY);
        const grown = await growth(server, async () => {
          assert.equal((await sendWell(page, "GET", "/me")).userId, user);
        });
        assert.equal(grown.refreshRequests, 1);
        assert.deepEqual(await tokenCookieNames(context), HEALED);
        assert.notEqual(await valueOf(context, "sRefreshToken"), current);

        await server.advance(PAST_EXPIRY);
        assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
      },
    );
  }

  duplicateTest(
    "a leftover refresh token does not outlive signing out",
    async ({ context, user, page, older }) => {
      await plant(context, "sRefreshToken", older.refresh, "/");
      await page.evaluate(() => SuperTokens.signOut());
      assert.equal(await server.sessionsOf(user), 0);
      assert.equal(await page.evaluate(() => SuperTokens.attemptRefreshingSession()), false);

      // The next session finds it and clears it.
      await sendWell(page, "POST", "/login", { userId: user });
      await server.advance(PAST_EXPIRY);
      assert.equal((await sendWell(page, "GET", "/me")).userId, user);
      assert.deepEqual(await tokenCookieNames(context), HEALED);
    },
    { revocations: 1 },
  );
});

describe("duplicate cookies of a page that is refreshed in place", () => {
  const server = useServer("--refresh-in-place");

  browserTest("older tokens that are sent first, out of reach", async ({ context, user }) => {
    const page = await openTab(context, `${server.origin}/plain`);
    await page.locator("#login input").fill(user);
    await page.locator("#login button").click();
    await page.locator("#user").waitFor();
    // Longer paths are sent first.
    for (const { name, value } of await tokenCookies(context)) {
      await plant(context, name, value, "/plain");
    }
    const grown = await growth(server, async () => {
      for (let round = 1; round <= 3; round += 1) {
        await server.advance(PAST_EXPIRY);
        await page.reload();
        assert.equal(await page.locator("#user").innerText(), user);
        await page.locator("#add input").fill(`text ${round}`);
        await page.locator("#add button").click();
        await page.locator("#texts li", { hasText: `text ${round}` }).waitFor();
      }
    });
    assert.equal(grown.refreshes, 3);
    assert.equal(grown.thefts + grown.revocations, 0);
    assert.deepEqual(await tokenCookieNames(context), [
      "sAccessToken /",
      "sAccessToken /plain",
      "sRefreshToken /",
      "sRefreshToken /plain",
    ]);
  });
});
