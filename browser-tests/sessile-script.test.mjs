// The script that the server brings itself, for pages without a front-end SDK.

import assert from "node:assert/strict";
import { describe } from "node:test";
import {
  ANTI_CSRF_MODES,
  PAST_EXPIRY,
  browserTest,
  growth,
  manyRequests,
  openTab,
  send,
  sendAll,
  sendWell,
  tokenCookieNames,
  usePages,
  useServer,
} from "./support/browser.mjs";

const eventsOf = (page) => page.evaluate(() => events);
const REFRESHED = { type: "sessile:refreshed", detail: null };

for (const mode of ANTI_CSRF_MODES) {
  const base = mode === "token" ? "/auth" : "";

  describe(`sessile.js, anti-CSRF by ${mode}`, () => {
    const server = useServer("--anti-csrf", mode, "--api-base-path", base);

    const scriptPage = () => `${server.origin}/pages/sessile.html?base=${base}`;
    const scriptTest = (name, body, options) =>
      browserTest(
        name,
        async ({ context, user }) => {
          const page = await openTab(context, scriptPage());
          await sendWell(page, "POST", "/login", { userId: user });
          await body({ context, user, page });
        },
        options,
      );

    scriptTest("a request is refreshed and repeated", async ({ user, page }) => {
      assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
      for (let round = 2; round <= 4; round += 1) {
        await server.advance(PAST_EXPIRY);
        const grown = await growth(server, async () => {
          assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: round });
          assert.equal((await sendWell(page, "GET", "/me")).userId, user);
        });
        assert.equal(grown.refreshRequests, 1);
        assert.equal(grown.refreshes, 1);
      }
      assert.deepEqual(await eventsOf(page), [REFRESHED, REFRESHED, REFRESHED]);
    });

    scriptTest(
      "20 requests at once in each of two tabs make one refresh",
      async ({ context, user, page }) => {
        const tabs = [page, await openTab(context, scriptPage())];
        for (let round = 1; round <= 3; round += 1) {
          await server.advance(PAST_EXPIRY);
          const { requests, expected } = manyRequests(20, user);
          const grown = await growth(server, async () => {
            const answers = await Promise.all(tabs.map((tab) => sendAll(tab, requests)));
            assert.deepEqual(answers, [expected, expected]);
          });
          assert.equal(grown.refreshRequests, 1);
          assert.equal(grown.refreshes, 1);
          assert.equal(grown.thefts + grown.reissues, 0);
        }
        const events = (await Promise.all(tabs.map(eventsOf))).flat();
        assert.deepEqual(events, [REFRESHED, REFRESHED, REFRESHED]);
      },
    );

    browserTest("two tabs of a browser without locks", async ({ context, user }) => {
      // As on a page over plain HTTP that is not on this machine.
      await context.addInitScript(() => delete Navigator.prototype.locks);
      const tabs = [await openTab(context, scriptPage()), await openTab(context, scriptPage())];
      assert.equal(await tabs[0].evaluate(() => typeof navigator.locks), "undefined");
      await sendWell(tabs[0], "POST", "/login", { userId: user });
      for (let round = 1; round <= 3; round += 1) {
        await server.advance(PAST_EXPIRY);
        const { requests, expected } = manyRequests(20, user);
        const grown = await growth(server, async () => {
          const answers = await Promise.all(tabs.map((tab) => sendAll(tab, requests)));
          assert.deepEqual(answers, [expected, expected]);
        });
        // Waiting a little is no lock, but the server gives both tabs the same tokens.
        assert.equal(grown.thefts + grown.revocations, 0);
        assert.equal(grown.refreshRequests, grown.refreshes + grown.reissues);
        assert.ok(grown.refreshRequests === 1 || grown.refreshRequests === 2);
      }
    });

    scriptTest(
      "a repeated POST carries its whole body, whatever it is made of",
      async ({ page }) => {
        await server.advance(PAST_EXPIRY);
        const lengths = await page.evaluate(async () => {
          const text = "Zoë ✓ ".repeat(50_000);
          const bytes = new TextEncoder().encode(text);
          const bodies = [text, bytes, new Blob([bytes]), new URLSearchParams({ text: "a&b=c" })];
          const inits = bodies.map((body) => ({ method: "POST", body }));
          const answers = await Promise.all([
            ...inits.map((init) => sessile.fetch("/echo", init)),
            sessile.fetch(new Request("/echo", inits[0])),
          ]);
          const echoed = await Promise.all(answers.map((answer) => answer.text()));
          return echoed.map((answer, index) =>
            answer === (index === 3 ? "text=a%26b%3Dc" : text) ? "whole" : answer.slice(0, 200),
          );
        });
        assert.deepEqual(lengths, Array(5).fill("whole"));
      },
    );

    scriptTest("sessile.refresh tells whether there is a session", async ({ user, page }) => {
      const grown = await growth(server, async () => {
        assert.equal(await page.evaluate(() => sessile.refresh()), true);
      });
      assert.equal(grown.refreshes, 1);
      await server.revokeSessionsOf(user);
      assert.equal(await page.evaluate(() => sessile.refresh()), false);
    });

    scriptTest("signing out ends the session", async ({ context, user, page }) => {
      assert.equal(await page.evaluate(async () => (await sessile.signOut()).status), 200);
      assert.deepEqual(await tokenCookieNames(context), []);
      assert.equal(await server.sessionsOf(user), 0);
      assert.equal((await send(page, "GET", "/me")).status, 401);
      assert.deepEqual(await eventsOf(page), []);
      // And the user may log in again.
      await sendWell(page, "POST", "/login", { userId: user });
      assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 1 });
    });

    scriptTest("signing out after expiry ends the session", async ({ context, user, page }) => {
      await server.advance(PAST_EXPIRY);
      assert.equal(await page.evaluate(async () => (await sessile.signOut()).status), 200);
      assert.deepEqual(await tokenCookieNames(context), []);
      assert.equal(await server.sessionsOf(user), 0);
    });

    scriptTest(
      "a session that was ended by the server is told to the page",
      async ({ context, user, page }) => {
        const tabs = [page, await openTab(context, scriptPage())];
        await server.revokeSessionsOf(user);
        await server.advance(PAST_EXPIRY);
        for (const tab of tabs) {
          const { status, body } = await send(tab, "GET", "/me");
          assert.equal(status, 401);
          assert.ok(["try refresh token", "unauthorised"].includes(body.message), body.message);
        }
        assert.deepEqual(await eventsOf(page), [
          { type: "sessile:ended", detail: { reason: "session_not_found" } },
        ]);
        assert.deepEqual(await tokenCookieNames(context), []);

        await sendWell(page, "POST", "/login", { userId: user });
        assert.deepEqual(await sendWell(tabs[1], "POST", "/change"), { counter: 1 });
      },
    );

    scriptTest(
      "an end that is found out by an ordinary request is told too",
      async ({ user, page }) => {
        await server.revokeSessionsOf(user);
        assert.equal((await send(page, "GET", "/me/immediate")).status, 401);
        assert.deepEqual(await eventsOf(page), [
          { type: "sessile:ended", detail: { reason: "session_not_found" } },
        ]);
      },
    );

    scriptTest("20 requests at once are told of the end once", async ({ user, page }) => {
      await server.revokeSessionsOf(user);
      await server.advance(PAST_EXPIRY);
      const { requests } = manyRequests(20, user);
      const grown = await growth(server, async () => {
        const answers = await sendAll(page, requests);
        assert.deepEqual(
          answers.map(({ status }) => status),
          Array(20).fill(401),
        );
      });
      assert.equal(grown.refreshRequests, 1);
      assert.equal((await eventsOf(page)).length, 1);
    });
  });
  describe(`sessile.js on another origin, anti-CSRF by ${mode}`, () => {
    const pages = usePages();
    const trusted = ["--trusted-origin", () => pages.origin];
    const server = useServer("--anti-csrf", mode, "--api-base-path", base, ...trusted);

    browserTest("login, refresh and sign-out", async ({ context, user }) => {
      const settings = new URLSearchParams({ api: server.origin, base });
      const page = await openTab(context, `${pages.origin}/pages/sessile.html?${settings}`);
      await sendWell(page, "POST", "/login", { userId: user });
      await server.advance(PAST_EXPIRY);
      const { requests, expected } = manyRequests(20, user);
      const grown = await growth(server, async () => {
        assert.deepEqual(await sendAll(page, requests), expected);
      });
      assert.equal(grown.refreshRequests, 1);
      assert.equal(grown.refreshes, 1);
      assert.equal(await page.evaluate(async () => (await sessile.signOut()).status), 200);
      assert.deepEqual(await tokenCookieNames(context), []);
      assert.equal(await server.sessionsOf(user), 0);
    });
  });
}
